package daemontest

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

// Eventually waits until a condition holds, and fails the test if it does not in time.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Knock knocks with our client from a namespace, the hits 20 ms apart unless args say otherwise.
func Knock(t testing.TB, from *netlab.Namespace, host netip.Addr, ports ...string) {
	t.Helper()
	netlabtest.Run(t, from, "knock", append([]string{"-d", "20", host.String()}, ports...)...)
}

// Connects reports whether a TCP connection from a namespace is accepted, within a short time: silence is no.
func Connects(t testing.TB, from *netlab.Namespace, to netip.AddrPort) bool {
	t.Helper()
	connected := false
	netlabtest.Check(t, from.Do(func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", to.String())
		if err == nil {
			connected = true
			return conn.Close()
		}
		return nil
	}))
	return connected
}

// Serve accepts TCP connections in a namespace and greets each, until the test ends.
func Serve(t testing.TB, n *netlab.Namespace, at netip.AddrPort) {
	t.Helper()
	l, err := n.ListenTCP(at)
	netlabtest.Check(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("hello\n"))
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
}

// Read returns a file's text, empty while there is none.
func Read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

// Descriptors counts a process's open files.
func Descriptors(t testing.TB, pid int) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/fd")
	netlabtest.Check(t, err)
	return len(entries)
}

// Resident is a process's resident memory in bytes (VmRSS in proc(5)).
func Resident(t testing.TB, pid int) int {
	t.Helper()
	for line := range strings.Lines(Read(t, "/proc/"+strconv.Itoa(pid)+"/status")) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			netlabtest.Check(t, err)
			return kib << 10
		}
	}
	t.Fatalf("process %d has no VmRSS", pid)
	return 0
}
