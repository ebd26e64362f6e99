package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

// TestAddressAsReference gives names with several addresses to both: they knock at the same one.
func TestAddressAsReference(t *testing.T) {
	needReference(t)
	t.Setenv("GORACE", fastRace)
	p := netlabtest.NewPair(t)
	for _, to := range []string{"0.0.0.0/0", "::/0"} {
		netlabtest.Check(t, netlab.AddRoute(p.Client, netlab.Interface, netip.MustParsePrefix(to), netip.Addr{}))
	}
	names := map[string][]string{
		"both.test":    {"10.0.0.1", "fd00::1"},
		"neither.test": {"198.51.100.7", "192.0.2.1"},
		"near.test":    {"192.0.2.1", "10.0.0.9", "10.0.0.1", "10.0.7.1"},
		"global.test":  {"192.0.2.1", "2001:db8::1"},
		"mixed.test":   {"10.0.0.1", "2001:db8::1", "fd00::1"},
		"far.test":     {"fd77::1", "192.0.2.1"},
	}
	hosts(t, names)
	for name := range names {
		for _, family := range []string{"", "-4"} {
			t.Run(name+family, func(t *testing.T) {
				args := append(strings.Fields(family), "-v", name, "7000")
				want := netlabtest.Run(t, p.Client, reference, args...)
				if got := netlabtest.Run(t, p.Client, "knock", args...); got != want {
					t.Errorf("ours: %q, reference: %q", got, want)
				}
			})
		}
	}
}

// hosts puts names into /etc/hosts of this process's own mount namespace, until the test ends.
func hosts(t *testing.T, names map[string][]string) {
	t.Helper()
	var text strings.Builder
	for name, addrs := range names {
		for _, a := range addrs {
			fmt.Fprintln(&text, a, name)
		}
	}
	path := filepath.Join(t.TempDir(), "hosts")
	netlabtest.Check(t, os.WriteFile(path, []byte(text.String()), 0o644))
	netlabtest.Check(t, unix.Mount(path, "/etc/hosts", "", unix.MS_BIND, ""))
	t.Cleanup(func() { netlabtest.Check(t, unix.Unmount("/etc/hosts", unix.MNT_DETACH)) })
}
