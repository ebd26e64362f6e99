package netlabtest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Leaks runs the tests and returns the exit code: not 0 too if they pass but leave goroutines or file descriptors
// behind. Packages that need no laboratory use it in TestMain as os.Exit(netlabtest.Leaks(m)).
func Leaks(m *testing.M) int {
	before := descriptors()
	code := m.Run()
	// While fuzzing, coordinator and workers stop in the middle of what they do.
	if code != 0 || fuzzing() {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Println("FAIL: leaked goroutines:", err)
		return 1
	}
	if leaked := leakedDescriptors(before); len(leaked) > 0 {
		fmt.Println("FAIL: leaked file descriptors:", strings.Join(leaked, ", "))
		return 1
	}
	return 0
}

func fuzzing() bool {
	return slices.ContainsFunc(os.Args[1:], func(a string) bool {
		return strings.HasPrefix(strings.TrimLeft(a, "-"), "test.fuzz")
	})
}

// leakedDescriptors waits for descriptors that are being closed, at most ten seconds.
func leakedDescriptors(before map[string]string) []string {
	deadline := time.Now().Add(10 * time.Second)
	for {
		var leaked []string
		for fd, target := range descriptors() {
			if before[fd] != target && !ofRuntime(target) {
				leaked = append(leaked, fd+" -> "+target)
			}
		}
		if len(leaked) == 0 || time.Now().After(deadline) {
			slices.Sort(leaked)
			return leaked
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// ofRuntime reports whether the Go runtime and the testing package keep such a descriptor for good: the network poller
// makes its two at the first use.
func ofRuntime(target string) bool {
	return target == "anon_inode:[eventpoll]" || target == "anon_inode:[eventfd]"
}

// descriptors maps the open file descriptors to what they are.
func descriptors() map[string]string {
	const dir = "/proc/self/fd"
	open := map[string]string{}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		// The descriptor of the directory itself is closed by now and has no target.
		if target, err := os.Readlink(dir + "/" + e.Name()); err == nil {
			open[e.Name()] = target
		}
	}
	return open
}
