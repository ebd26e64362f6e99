package daemon

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"knockd/internal/logs"
)

func TestNames(t *testing.T) {
	asked := 0
	n := newNames()
	n.lookup = func(_ context.Context, ip string) ([]string, error) {
		asked++
		if ip == "192.0.2.1" {
			return []string{"host.example.org."}, nil
		}
		return nil, errors.New("no such name")
	}
	for range 2 { // the second time from memory
		if got := n.of(t.Context(), netip.MustParseAddr("192.0.2.1")); got != "192.0.2.1 (host.example.org)" {
			t.Error(got)
		}
		if got := n.of(t.Context(), netip.MustParseAddr("192.0.2.2")); got != "192.0.2.2" {
			t.Error(got)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}

// TestLookupKeepsTheOrder says lines about hosts with and without names: they come as they were said, what waits at the end
// too.
func TestLookupKeepsTheOrder(t *testing.T) {
	var out bytes.Buffer
	log, err := logs.New(logs.Config{Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	n := newNaming(log)
	n.names.lookup = func(context.Context, string) ([]string, error) { return []string{"host."}, nil }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = n.Run(ctx) }()
	s := &speaker{log: log, names: n, rates: map[string]*rate{}}
	ip := netip.MustParseAddr("192.0.2.1")
	s.line("starting up, listening on eth0")
	s.about(ip, "ssh: Stage 1")
	s.line("shutting down")
	cancel()
	<-done
	log.Close()
	got := strings.ReplaceAll(out.String(), "192.0.2.1 (host)", "192.0.2.1") // the name, if there was time for it
	if got != "starting up, listening on eth0\n192.0.2.1: ssh: Stage 1\nshutting down\n" {
		t.Errorf("%q", out.String())
	}
}
