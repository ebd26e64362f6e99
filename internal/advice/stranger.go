package advice

import (
	"net/netip"

	"knockd/internal/packet"
)

// probe is the packet that is followed: the first of a connection from an address that no rule knows, on some interface
// that is neither loopback nor a bridge to containers, to an address of this machine.
type probe struct {
	// family is NFPROTO_IPV4 or NFPROTO_IPV6.
	family byte
	proto  packet.Proto
	port   uint16
	// asked is the port before destination NAT.
	asked uint16
	// to is the destination behind destination NAT, the zero Addr before it.
	to netip.Addr
	// translated is set behind destination NAT, to another machine or to another port of this one.
	translated bool
	// untracked is set where a rule may keep it from conntrack.
	untracked bool
	// early is set while conntrack has not seen it.
	early bool
	// steps counts the rules that it met.
	steps int
}

// begins reports whether conntrack knows the packet as the first of a connection.
func (p *probe) begins() bool { return !p.untracked && !p.early }

// longest bounds the rules that a packet is followed through: chains that jump to each other may multiply.
const longest = 200_000

// tired reports whether a packet has been followed for long enough, and counts a rule.
func (p *probe) tired() bool {
	p.steps++
	return p.steps > longest
}

// stranger4 and stranger6 stand for an address that no rule knows. They are public ones (of example.com, for years): lists of
// networks that can't be on the Internet have those that are reserved for documentation.
var (
	stranger4 = netip.AddrFrom4([4]byte{93, 184, 215, 14})
	stranger6 = netip.AddrFrom16([16]byte{0x26, 0x06, 0x28, 0, 0x02, 0x20, 0, 1, 0x02, 0x48, 0x18, 0x93, 0x25, 0xc8, 0x19, 0x46})
)

func (p *probe) source() netip.Addr {
	if p.family == ipv4 {
		return stranger4
	}
	return stranger6
}
