package client_test

import (
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"knockd/internal/client"
	"knockd/internal/netlab/netlabtest"
)

// reference is the client of Debian's knockd package.
const reference = "/usr/bin/knock"

func needReference(t *testing.T) {
	t.Helper()
	_, err := os.Stat(reference)
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}

// TestPacketsAsReference compares what the reference and ours put on the wire.
func TestPacketsAsReference(t *testing.T) {
	needReference(t)
	p := netlabtest.NewPair(t)
	for _, to := range []netip.Addr{p.Server4, p.Server6} {
		// UDP to port 1 is the last.
		args := []string{"-d", "1", to.String(), "7000", "8000:udp", "9000:TCP", "9000", "1:udp"}
		wire := listen(t, p.Server)
		netlabtest.Run(t, p.Client, reference, args...)
		want := wire.until(t, "udp:1 ")
		code := 0
		netlabtest.Check(t, p.Client.Do(func() error {
			code = client.Main(t.Context(), args, "", t.Output(), t.Output())
			return nil
		}))
		if diff := cmp.Diff(want, wire.until(t, "udp:1 ")); diff != "" || code != 0 {
			t.Errorf("code %d, on the wire (-reference +ours):\n%s", code, diff)
		}
	}
}
