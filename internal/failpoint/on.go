//go:build failpoints

// Package failpoint kills the daemon between two steps, in programs that are built with the tag failpoints for tests of what
// a crash leaves behind. In all others it does nothing and costs nothing.
package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Env arms failpoints: NAME:N dies at the N-th time that the place NAME is come by, *:N at the N-th place of any name.
const Env = "KNOCKD_FAILPOINT"

// Log names a file that the names of places are appended to, so that a test knows which there are.
const Log = "KNOCKD_FAILPOINT_LOG"

type armed struct {
	mu   sync.Mutex
	name string
	left int
	log  *os.File
}

var point = sync.OnceValue(func() *armed {
	a := &armed{}
	name, count, ok := strings.Cut(os.Getenv(Env), ":")
	if n, err := strconv.Atoi(count); ok && err == nil {
		a.name, a.left = name, n
	}
	if path := os.Getenv(Log); path != "" {
		a.log, _ = os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	}
	return a
})

// Hit dies, as by kill -9, if this is the place.
func Hit(name string) {
	a := point()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.log != nil {
		_, _ = a.log.WriteString(name + "\n")
	}
	if a.name != name && a.name != "*" {
		return
	}
	if a.left--; a.left == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until the signal is delivered
	}
}
