package native

import (
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// stranger never knocks, and asks for port 22 all the time.
type stranger struct {
	s        *site
	fd       int
	injector *netlab.Injector
	answers  atomic.Int64
	ending   chan struct{}
	ended    [2]chan struct{}
}

// strangerAddr is the stranger's address.
var strangerAddr = netip.MustParseAddr("10.0.200.1")

// stranger sends SYNs until the test ends, and counts the answers.
func (s *site) stranger() *stranger {
	s.t.Helper()
	netlabtest.Check(s.t, netlab.AddNeighbour(s.Server, netlab.Interface, strangerAddr, s.ClientMAC))
	x := &stranger{
		s: s, injector: netlabtest.NewInjector(s.t, s.Client, netlab.Interface, s.ServerMAC),
		ending: make(chan struct{}), ended: [2]chan struct{}{make(chan struct{}), make(chan struct{})},
	}
	netlabtest.Check(s.t, s.Client.Do(func() (err error) {
		const ipv4 = unix.ETH_P_IP<<8&0xff00 | unix.ETH_P_IP>>8 // in network byte order
		x.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, ipv4)
		return err
	}))
	timeout := unix.NsecToTimeval(int64(50 * time.Millisecond))
	netlabtest.Check(s.t, unix.SetsockoptTimeval(x.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout))
	go x.ask()
	go x.listen()
	s.t.Cleanup(func() {
		close(x.ending)
		<-x.ended[0]
		<-x.ended[1]
		_ = unix.Close(x.fd)
	})
	return x
}

func (x *stranger) ask() {
	defer close(x.ended[0])
	for port := uint16(10000); ; port++ {
		select {
		case <-x.ending:
			return
		case <-time.After(100 * time.Microsecond):
		}
		_ = x.injector.SendIP(packettest.Build(packet.Packet{
			Src: strangerAddr, Dst: x.s.Server4, SrcPort: max(port, 10000), Port: packet.Port{Proto: packet.TCP, Number: 22}, Flags: packet.SYN,
		}, packettest.Options{}))
	}
}

func (x *stranger) listen() {
	defer close(x.ended[1])
	buf := make([]byte, 2048)
	for {
		select {
		case <-x.ending:
			return
		default:
		}
		n, _, err := unix.Recvfrom(x.fd, buf, 0)
		var p packet.Packet
		if err == nil && packet.Parse(buf[:n], &p) == nil && p.Dst == strangerAddr && p.SrcPort == 22 && p.Flags&packet.SYN != 0 {
			x.answers.Add(1)
		}
	}
}

// sawNothing fails the test if the stranger had an answer.
func (x *stranger) sawNothing() {
	x.s.t.Helper()
	if n := x.answers.Load(); n > 0 {
		x.s.t.Errorf("the hidden port answered a stranger %d times", n)
	}
}
