//go:build !race

package knock

// slower is how many times less the long tests do under the race detector.
const slower = 1
