package flood

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
)

func TestMain(m *testing.M) { netlabtest.Main(m) }

// received collects what arrives at the server.
func received(t *testing.T, kind Kind, n uint64) []packet.Packet {
	t.Helper()
	p := netlabtest.NewPair(t)
	var fd int
	netlabtest.Check(t, p.Server.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_IP)))
		return err
	}))
	defer func() { _ = unix.Close(fd) }()
	timeout := unix.NsecToTimeval(int64(time.Second))
	netlabtest.Check(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout))
	f, err := New(p, kind, []uint16{7000, 8000, 9000})
	netlabtest.Check(t, err)
	netlabtest.Check(t, f.Run(context.Background(), 0, 0, n))
	netlabtest.Check(t, f.Close())
	var all []packet.Packet
	buf := make([]byte, 2048)
	for uint64(len(all)) < f.Sent() {
		got, from, err := unix.Recvfrom(fd, buf, 0)
		if err != nil {
			break
		}
		if l, ok := from.(*unix.SockaddrLinklayer); ok && l.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		var pk packet.Packet
		if packet.Parse(buf[:got], &pk) == nil && pk.Port.Proto == packet.TCP {
			all = append(all, pk)
		}
	}
	return all
}

func htons(n uint16) uint16 { return n<<8 | n>>8 }

func TestKinds(t *testing.T) {
	for kind, test := range map[Kind]struct{ perSource, ports int }{Once: {1, 1}, Twice: {2, 1}, Ports: {1, 3}} {
		t.Run(kind.String(), func(t *testing.T) {
			all := received(t, kind, 128)
			if len(all) < 100 {
				t.Fatalf("%d packets came", len(all))
			}
			sources, ports := map[netip.Addr]int{}, map[packet.Port]bool{}
			for _, p := range all {
				sources[p.Src]++
				ports[p.Port] = true
				if p.Flags != packet.SYN || !p.Src.IsGlobalUnicast() {
					t.Fatalf("%+v", p)
				}
			}
			if got := float64(len(all)) / float64(len(sources)); got < float64(test.perSource)*0.9 || got > float64(test.perSource)*1.1 {
				t.Errorf("%d packets of %d sources", len(all), len(sources))
			}
			if len(ports) != test.ports {
				t.Errorf("to %d ports", len(ports))
			}
		})
	}
}
