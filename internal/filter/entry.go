package filter

import "golang.org/x/net/bpf"

// EtherTypes (IEEE 802; linux/if_ether.h).
const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
)

// frameEntry begins the program of an AF_PACKET socket: IPv4 and IPv6 by EtherType, which the version must confirm, as
// the kernel's IP layer wants it. A frame with a VLAN id is refused if noVLAN is set; id 0 is a mere priority (IEEE
// 802.1Q). The kernel has taken the tag off the frame by now, and keeps it beside (Linux 3.0).
func frameEntry(noVLAN bool) entry {
	return func(c *code, v4, v6, refuse label) {
		if noVLAN {
			untagged := c.label()
			c.emit(bpf.LoadExtension{Num: bpf.ExtVLANTagPresent})
			c.when(bpf.JumpEqual, 0, untagged)
			c.emit(bpf.LoadExtension{Num: bpf.ExtVLANTag})
			c.branch(bpf.JumpBitsSet, 0x0fff, refuse, untagged)
			c.bind(untagged)
		}
		is4, is6 := c.label(), c.label()
		c.emit(bpf.LoadExtension{Num: bpf.ExtProto})
		c.when(bpf.JumpEqual, etherIPv4, is4)
		c.branch(bpf.JumpEqual, etherIPv6, is6, refuse)
		c.bind(is4)
		c.version(4, v4, refuse)
		c.bind(is6)
		c.version(6, v6, refuse)
	}
}

// version goes to yes if the packet's version is n.
func (c *code) version(n uint32, yes, no label) {
	c.emit(bpf.LoadAbsolute{Off: 0, Size: 1}, bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4})
	c.branch(bpf.JumpEqual, n, yes, no)
}
