// Package fault makes the daemon's life hard: it is killed between any two steps, its disk fills up, its interface goes and
// comes, its table is flushed. After each fault what is open is held against what should be.
package fault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"knockd/internal/daemontest"
	"knockd/internal/netlab/netlabtest"
)

func TestMain(m *testing.M) { daemontest.Main(m) }

// length is how long the faults go on: a short form for every test run, KNOCKD_SOAK=20m for `make soak`.
func length(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("KNOCKD_SOAK")
	if text == "" {
		if testing.Short() {
			return 8 * time.Second
		}
		return 20 * time.Second
	}
	d, err := time.ParseDuration(text)
	netlabtest.Check(t, err)
	return d
}

// seed is drawn anew for each run, and printed: KNOCKD_SEED=N repeats one (as far as a machine repeats itself).
func seed(t *testing.T) uint64 {
	t.Helper()
	if text := os.Getenv("KNOCKD_SEED"); text != "" {
		var n uint64
		_, err := fmt.Sscan(text, &n)
		netlabtest.Check(t, err)
		return n
	}
	return rand.Uint64()
}

// program builds the daemon with its failpoints.
func program(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	path := filepath.Join(t.TempDir(), "knockd")
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", "failpoints", "-o", path, "knockd/cmd/knockd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// TestFaults is the loop: a knock or two, a fault, and a look at everything.
func TestFaults(t *testing.T) {
	n := seed(t)
	t.Logf("KNOCKD_SEED=%d", n)
	w := newWorld(t, program(t), rand.New(rand.NewPCG(n, 0)))
	w.start()
	for end := time.Now().Add(length(t)); time.Now().Before(end) && !t.Failed(); {
		w.round()
	}
	w.rest()
	w.report()
}
