package capture

import (
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/boottime"
	"knockd/internal/packet"
)

// frame is a packet as the kernel hands it over.
type frame struct {
	// data begins at the network header and may be shorter than length, what the packet had on the wire.
	data   []byte
	length int
	// stamp is when it was received, in real time since 1970.
	stamp time.Duration
	// protocol is the ETH_P_ number, kind the PACKET_ type, hardware the ARPHRD_ type of the interface.
	protocol uint16
	kind     uint8
	hardware uint16
	// vlan is the number of the VLAN tag that the frame still has, 0 for none (and for a tag that only has a priority).
	vlan  uint16
	index int
}

// packet fills p, or says why not.
func (f *frame) packet(p *packet.Packet, c *receiveClock) (Refusal, bool) {
	switch {
	case f.kind == unix.PACKET_OUTGOING:
		return RefusedOutgoing, false
	case f.vlan != 0:
		return RefusedVLAN, false
	case f.protocol != unix.ETH_P_IP && f.protocol != unix.ETH_P_IPV6:
		return RefusedNetwork, false
	}
	if err := packet.ParseSnapped(f.data, f.length, p); err != nil {
		return refusalOf(err), false
	}
	if p.Src.Is4() != (f.protocol == unix.ETH_P_IP) {
		return RefusedVersion, false
	}
	if p.Src.IsLoopback() && f.hardware != unix.ARPHRD_LOOPBACK {
		return RefusedLoopback, false
	}
	p.Time, p.Interface = c.boottime(f.stamp), f.index
	return 0, true
}

// oldest is the most that a receive timestamp may lie back: what is more was the wall clock being set.
const oldest = 5 * time.Second

// receiveClock turns receive timestamps, which are real time, into CLOCK_BOOTTIME.
type receiveClock struct {
	now, offset, last time.Duration
}

// read reads the clocks. It is called for every handful of packets, before them.
func (c *receiveClock) read() {
	c.now, c.offset = boottime.NowOffset()
}

// boottime returns when the packet was received, at most 5 s before the clocks were read, never after that, and never
// before the packet in front of it.
func (c *receiveClock) boottime(stamp time.Duration) time.Duration {
	t := min(max(stamp-c.offset, c.now-oldest), c.now)
	c.last = max(c.last, t)
	return c.last
}
