package main

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"knockd/internal/netlab/netlabtest"
)

func TestMain(m *testing.M) {
	testscript.Main(netlabtest.Tests{M: m}, map[string]func(){"knock": main})
}

// fastRace is for GORACE: a program with the race detector otherwise sleeps for a second before it exits.
const fastRace = "atexit_sleep_ms=0"

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", Setup: func(e *testscript.Env) error {
		e.Setenv("GORACE", fastRace)
		return nil
	}})
}

// TestLinksNoDaemon holds knock small and quick to start.
func TestLinksNoDaemon(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	list := exec.CommandContext(ctx, "go", "list", "-deps", ".")
	list.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is built
	list.Stderr = t.Output()
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string]bool{
		"knockd/cmd/knock": true, "knockd/internal/client": true, "knockd/internal/getopt": true,
		"knockd/internal/version": true, "golang.org/x/sys/unix": true,
	}
	for _, dep := range strings.Fields(string(out)) {
		first, _, _ := strings.Cut(dep, "/")
		switch {
		case strings.HasPrefix(dep, "vendor/"): // the standard library's own
		case (strings.Contains(first, ".") || first == "knockd") && !allowed[dep]:
			t.Errorf("knock links %s", dep)
		case strings.HasPrefix(dep, "net/http") || dep == "crypto/tls":
			t.Errorf("knock links %s, which is slow to start", dep)
		}
	}
}
