package netlabtest

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"knockd/internal/netlab"
)

// NewNamespace makes a namespace that ends with the test.
func NewNamespace(t testing.TB) *netlab.Namespace {
	t.Helper()
	n, err := netlab.New()
	Check(t, err)
	t.Cleanup(func() { Check(t, n.Close()) })
	return n
}

// NewPair makes a server and a client, joined, that end with the test.
func NewPair(t testing.TB) *netlab.Pair {
	t.Helper()
	p, err := netlab.NewPair()
	Check(t, err)
	t.Cleanup(func() { Check(t, p.Close()) })
	return p
}

// NewInjector opens a raw sender on an interface, which is closed with the test.
func NewInjector(t testing.TB, n *netlab.Namespace, name string, to net.HardwareAddr) *netlab.Injector {
	t.Helper()
	i, err := netlab.NewInjector(n, name, to)
	Check(t, err)
	t.Cleanup(func() { Check(t, i.Close()) })
	return i
}

// Run runs a command in the namespace and returns its output; the test fails if the command does, or takes longer than
// half a minute.
func Run(t testing.TB, n *netlab.Namespace, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := n.Command(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// Addr adds an address to an interface.
func Addr(t testing.TB, n *netlab.Namespace, name, prefix string) {
	t.Helper()
	p, err := netip.ParsePrefix(prefix)
	Check(t, err)
	Check(t, netlab.AddAddr(n, name, p))
}

// Check fails the test for an error; for what the system lacks it skips, unless CI=true.
func Check(t testing.TB, err error) {
	t.Helper()
	var no *netlab.Unsupported
	switch {
	case err == nil:
	case errors.As(err, &no) && os.Getenv("CI") != "true":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}
