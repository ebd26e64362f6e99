package client_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"knockd/internal/client"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

// TestWire looks at the wire: each hit is one packet, in order, and nothing is left in the kernel to be sent again.
func TestWire(t *testing.T) {
	p := netlabtest.NewPair(t)
	tests := map[string]struct {
		to     netip.Addr
		source netip.Addr
		want   string
	}{
		"IPv4": {p.Server4, p.Client4, "10.0.0.2 > 10.0.0.1"},
		"IPv6": {p.Server6, p.Client6, "fd00::2 > fd00::1"},
		// Nobody answers for this address, so a SYN would be sent again.
		"silent":         {netip.MustParseAddr("10.0.0.77"), netip.Addr{}, "10.0.0.2 > 10.0.0.77"},
		"another source": {p.Server4, netip.MustParseAddr("10.0.9.9"), "10.0.9.9 > 10.0.0.1"},
	}
	netlabtest.Addr(t, p.Client, netlab.Interface, "10.0.9.9/16")
	netlabtest.Check(t, netlab.AddNeighbour(p.Client, netlab.Interface, tests["silent"].to, p.ServerMAC))
	hits := []client.Hit{{Port: 7000}, {Port: 9000, UDP: true}, {Port: 8000}, {Port: 8000}, {Port: 1, UDP: true}}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			wire := listen(t, p.Server)
			k := client.Knock{To: test.to, Source: test.source, Interface: netlab.Interface, Hits: hits}
			netlabtest.Check(t, p.Client.Do(func() error { return k.Send(t.Context()) }))
			if table := tcpTable(t, p.Client); table != "" {
				t.Errorf("the client's kernel still has sockets:\n%s", table)
			}
			var want []string
			for _, h := range hits {
				what := "SYN"
				if h.UDP {
					what = "00"
				}
				want = append(want, fmt.Sprintf("%s %s:%d %s", test.want, h.Protocol(), h.Port, what))
			}
			// UDP to port 1 is the last: what was sent before it has been seen by then.
			if diff := cmp.Diff(want, wire.until(t, "udp:1 ")); diff != "" {
				t.Errorf("on the wire (-want +got):\n%s", diff)
			}
		})
	}
}

// TestListenerIsReset knocks at a port that is open: the connection is not left to time out.
func TestListenerIsReset(t *testing.T) {
	n := netlabtest.NewNamespace(t)
	l, err := n.ListenTCP(netip.MustParseAddrPort("127.0.0.1:0"))
	netlabtest.Check(t, err)
	at := netip.MustParseAddrPort(l.Addr().String())
	k := client.Knock{To: at.Addr(), Hits: []client.Hit{{Port: at.Port()}}}
	netlabtest.Check(t, n.Do(func() error { return k.Send(t.Context()) }))
	netlabtest.Check(t, l.Close())
	if table := tcpTable(t, n); table != "" {
		t.Errorf("sockets are left:\n%s", table)
	}
}

// TestListenerOnTheWire knocks at a port that answers: one SYN, whatever comes back, and no socket that would send more.
func TestListenerOnTheWire(t *testing.T) {
	p := netlabtest.NewPair(t)
	l, err := p.Server.ListenTCP(netip.AddrPortFrom(p.Server4, 7000))
	netlabtest.Check(t, err)
	t.Cleanup(func() { netlabtest.Check(t, l.Close()) })
	wire := listen(t, p.Server)
	k := client.Knock{To: p.Server4, Hits: []client.Hit{{Port: 7000}, {Port: 1, UDP: true}}}
	netlabtest.Check(t, p.Client.Do(func() error { return k.Send(t.Context()) }))
	if table := tcpTable(t, p.Client); table != "" {
		t.Errorf("the client's kernel still has sockets:\n%s", table)
	}
	syns := 0
	for _, line := range wire.until(t, "udp:1 ") {
		if strings.HasSuffix(line, " SYN") {
			syns++
		}
	}
	if syns != 1 {
		t.Errorf("%d SYNs were sent, want 1", syns)
	}
}

func TestSendFails(t *testing.T) {
	n := netlabtest.NewNamespace(t)
	away := netip.MustParseAddr("192.0.2.1")
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	tests := map[string]struct {
		ctx   context.Context
		knock client.Knock
		want  error
	}{
		"no route":      {t.Context(), client.Knock{To: away}, unix.ENETUNREACH},
		"no interface":  {t.Context(), client.Knock{To: away, Interface: "none0"}, unix.ENODEV},
		"not our own":   {t.Context(), client.Knock{To: away, Source: away}, unix.EADDRNOTAVAIL},
		"ended between": {canceled, client.Knock{To: netip.MustParseAddr("127.0.0.1"), Delay: time.Hour}, context.Canceled},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.knock.Hits = []client.Hit{{Port: 7000}, {Port: 8000}}
			err := n.Do(func() error { return test.knock.Send(test.ctx) })
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// tcpTable is what the kernel knows of TCP sockets that may still send something, a line each.
func tcpTable(t *testing.T, n *netlab.Namespace) string {
	t.Helper()
	var rest []string
	netlabtest.Check(t, n.Do(func() error {
		for _, file := range []string{"tcp", "tcp6"} {
			table, err := os.ReadFile("/proc/thread-self/net/" + file)
			if err != nil {
				return err
			}
			rest = append(rest, strings.Split(strings.TrimSpace(string(table)), "\n")[1:]...)
		}
		return nil
	}))
	return strings.Join(rest, "\n")
}

// wire is an AF_PACKET socket on the server's side; reading it gives up after 20 s.
type wire struct{ fd int }

func listen(t *testing.T, n *netlab.Namespace) wire {
	t.Helper()
	var w wire
	netlabtest.Check(t, n.Do(func() (err error) {
		all := binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL}) // in network order
		w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(all))
		if err != nil {
			return err
		}
		return unix.SetsockoptTimeval(w.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 20})
	}))
	t.Cleanup(func() { netlabtest.Check(t, unix.Close(w.fd)) })
	return w
}

// until returns the incoming TCP and UDP packets up to the first whose line contains end.
func (w wire) until(t *testing.T, end string) []string {
	t.Helper()
	var lines []string
	buf := make([]byte, 2048)
	for {
		n, from, err := unix.Recvfrom(w.fd, buf, 0)
		if err != nil {
			t.Fatalf("no packet with %q after %q: %v", end, lines, err)
		}
		if from.(*unix.SockaddrLinklayer).Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		line := describe(buf[:n])
		if line == "" {
			continue
		}
		lines = append(lines, line)
		if strings.Contains(line, end) {
			return lines
		}
	}
}

// describe writes a TCP or UDP packet as "SRC > DST PROTO:PORT FLAGS|PAYLOAD". The packets are the kernel's own, so their
// lengths are right.
func describe(b []byte) string {
	var src, dst netip.Addr
	var protocol byte
	switch b[0] >> 4 {
	case 4:
		src, dst, protocol = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), b[9]
		b = b[int(b[0]&15)*4 : binary.BigEndian.Uint16(b[2:])]
	case 6:
		src, dst, protocol = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40])), b[6]
		b = b[40:]
	default:
		return ""
	}
	switch protocol {
	case unix.IPPROTO_TCP:
		flags := fmt.Sprintf("flags %#x", b[13])
		if b[13] == 2 {
			flags = "SYN"
		}
		return fmt.Sprintf("%v > %v tcp:%d %s", src, dst, binary.BigEndian.Uint16(b[2:]), flags)
	case unix.IPPROTO_UDP:
		return fmt.Sprintf("%v > %v udp:%d %x", src, dst, binary.BigEndian.Uint16(b[2:]), b[8:])
	}
	return ""
}
