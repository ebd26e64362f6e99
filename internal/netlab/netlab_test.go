package netlab_test

import (
	"context"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

func TestMain(m *testing.M) { netlabtest.Main(m) }

func TestPairPassesTCP(t *testing.T) {
	p := netlabtest.NewPair(t)
	for _, server := range []netip.Addr{p.Server4, p.Server6} {
		l, err := p.Server.ListenTCP(netip.AddrPortFrom(server, 0))
		netlabtest.Check(t, err)
		at := netip.MustParseAddrPort(l.Addr().String())
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		c, err := p.Client.DialTCP(ctx, at)
		cancel()
		netlabtest.Check(t, err)
		s, err := l.Accept()
		netlabtest.Check(t, err)
		_, err = io.WriteString(s, "hello")
		netlabtest.Check(t, err)
		netlabtest.Check(t, s.Close())
		got, err := io.ReadAll(c)
		netlabtest.Check(t, err)
		if string(got) != "hello" {
			t.Errorf("read %q", got)
		}
		netlabtest.Check(t, c.Close())
		netlabtest.Check(t, l.Close())
	}
}

func TestNamespacesAreApart(t *testing.T) {
	n := netlabtest.NewNamespace(t)
	home, err := os.Readlink("/proc/thread-self/ns/net")
	netlabtest.Check(t, err)
	inside := strings.TrimSpace(netlabtest.Run(t, n, "readlink", "/proc/self/ns/net"))
	if inside == home {
		t.Errorf("the command ran in %s, the namespace of the test", inside)
	}
	back, err := os.Readlink("/proc/thread-self/ns/net")
	netlabtest.Check(t, err)
	if back != home {
		t.Errorf("the thread came back to %s, not to %s", back, home)
	}
}

func TestRunIsPrivate(t *testing.T) {
	entries, err := os.ReadDir("/run")
	netlabtest.Check(t, err)
	for _, e := range entries {
		t.Errorf("/run/%s is visible", e.Name())
	}
}

func TestInjectorSends(t *testing.T) {
	p := netlabtest.NewPair(t)
	in, err := p.Server.ListenUDP(netip.AddrPortFrom(p.Server4, 7))
	netlabtest.Check(t, err)
	defer func() { netlabtest.Check(t, in.Close()) }()
	i := netlabtest.NewInjector(t, p.Client, netlab.Interface, p.ServerMAC)
	// IPv4 10.9.9.9 -> 10.0.0.1, UDP 1024 -> 7 without checksum, one byte "x".
	packet := []byte("\x45\x00\x00\x1d\x00\x00\x00\x00\x40\x11\x5d\xbe\x0a\x09\x09\x09\x0a\x00\x00\x01" +
		"\x04\x00\x00\x07\x00\x09\x00\x00x")
	netlabtest.Check(t, i.SendIP(packet))
	netlabtest.Check(t, in.SetReadDeadline(time.Now().Add(20*time.Second)))
	buf := make([]byte, 10)
	k, from, err := in.ReadFromUDPAddrPort(buf)
	netlabtest.Check(t, err)
	if string(buf[:k]) != "x" || from.String() != "10.9.9.9:1024" {
		t.Errorf("received %q from %v", buf[:k], from)
	}
}
