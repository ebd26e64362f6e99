// Package packet turns the bytes of an IP packet into a Packet: its addresses, protocol, ports and TCP flags.
//
// It is pure: no clock, file, socket or goroutine, and it allocates nothing. What belongs here is what a packet
// says of itself; what a packet means to a door belongs to package knock.
package packet

import (
	"net/netip"
	"time"
)

// Proto is an IP protocol number (IANA, "Assigned Internet Protocol Numbers").
type Proto uint8

// The protocols that a knock can be made of.
const (
	TCP Proto = 6
	UDP Proto = 17
)

// String returns "tcp" or "udp", and the number for any other protocol.
func (p Proto) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	default:
		return "proto-" + itoa(uint16(p))
	}
}

// Port is a transport port with its protocol: one hit of a sequence.
type Port struct {
	Proto  Proto
	Number uint16
}

// String returns "7000:tcp", the form of the Sequence directive.
func (p Port) String() string {
	return itoa(p.Number) + ":" + p.Proto.String()
}

// itoa avoids strconv's and fmt's wider interfaces on a path that log lines take often.
func itoa(n uint16) string {
	var b [5]byte
	i := len(b)
	for {
		i--
		b[i] = byte('0' + n%10)
		n /= 10
		if n == 0 {
			return string(b[i:])
		}
	}
}

// Packet is what a door needs to know of one packet.
type Packet struct {
	// Time is when the kernel received the packet, on CLOCK_BOOTTIME (since boot).
	Time time.Duration
	// Src and Dst are never IPv4-mapped: an IPv4 packet has IPv4 addresses.
	Src, Dst netip.Addr
	SrcPort  uint16
	// Port is the destination port with the protocol.
	Port Port
	// Flags are the TCP flags, zero for UDP.
	Flags Flags
	// Interface is the index of the interface that received the packet, 0 if unknown.
	Interface int
}
