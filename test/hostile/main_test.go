// Package hostile sends at a living daemon what a network can send: frames that lie, and floods that fill its table. It
// must not end, grow, or open for anybody but a right knock.
package hostile

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"knockd/internal/daemontest"
	"knockd/internal/netlab/netlabtest"
)

func TestMain(m *testing.M) { daemontest.Main(m) }

// length is how long something goes on: a short form for every test run, or what KNOCKD_SOAK says.
func length(t *testing.T, short time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv("KNOCKD_SOAK")
	if text == "" {
		return short
	}
	d, err := time.ParseDuration(text)
	netlabtest.Check(t, err)
	return d
}

// seed is drawn anew for each run, and printed: KNOCKD_SEED=N repeats the frames of one.
func seed(t *testing.T) uint64 {
	t.Helper()
	n := rand.Uint64()
	if text := os.Getenv("KNOCKD_SEED"); text != "" {
		_, err := fmt.Sscan(text, &n)
		netlabtest.Check(t, err)
	}
	t.Logf("KNOCKD_SEED=%d", n)
	return n
}
