// Package packettest builds raw IP packets for tests, with correct lengths and checksums. Wrong ones are made by
// changing what it returns.
package packettest

import (
	"encoding/binary"
	"fmt"

	"knockd/internal/packet"
)

// Options is what a packet.Packet does not say. The zero value is a plain packet without payload.
type Options struct {
	// IPv4Options is padded with zeros to a multiple of 4 bytes, at most 40.
	IPv4Options []byte
	// Fragment is the IPv4 flags-and-offset field (0x2000: more fragments; 0x4000: don't fragment; the low 13
	// bits: the offset in units of 8 bytes). For IPv6 add the Fragment extension.
	Fragment uint16
	// Extensions are the IPv6 extension headers, in order.
	Extensions []Extension
	// TCPOptions is padded with zeros to a multiple of 4 bytes, at most 40.
	TCPOptions []byte
	Payload    []byte
	// Seq is the TCP sequence number.
	Seq uint32
}

// Build returns the packet p, from the IP header on. Time and Interface are ignored. For a protocol other than TCP and
// UDP only the payload follows the IP headers. It panics if the addresses are of two families or something does not
// fit: a mistake in the test.
func Build(p packet.Packet, o Options) []byte {
	if p.Src.Is4() != p.Dst.Is4() || !p.Src.IsValid() || !p.Dst.IsValid() {
		panic(fmt.Sprintf("packettest: addresses %v and %v", p.Src, p.Dst))
	}
	segment := transport(p, o)
	if p.Src.Is4() {
		return append(ipv4(p, o, len(segment)), segment...)
	}
	return append(ipv6(p, o, len(segment)), segment...)
}

// ipv4 returns the IPv4 header (RFC 791).
func ipv4(p packet.Packet, o Options, payload int) []byte {
	options := pad(o.IPv4Options)
	h := append(make([]byte, 20), options...)
	h[0] = 0x40 | byte(len(h)/4)
	binary.BigEndian.PutUint16(h[2:], size(len(h)+payload))
	binary.BigEndian.PutUint16(h[4:], 1)
	binary.BigEndian.PutUint16(h[6:], o.Fragment)
	h[8] = 64
	h[9] = byte(p.Port.Proto)
	copy(h[12:], p.Src.AsSlice())
	copy(h[16:], p.Dst.AsSlice())
	binary.BigEndian.PutUint16(h[10:], checksum(h))
	return h
}

// ipv6 returns the IPv6 header with its extensions (RFC 8200).
func ipv6(p packet.Packet, o Options, payload int) []byte {
	h := make([]byte, 40)
	h[0] = 0x60
	h[7] = 64
	copy(h[8:], p.Src.AsSlice())
	copy(h[24:], p.Dst.AsSlice())
	next := 6
	for _, e := range o.Extensions {
		h[next] = e.Header
		next = len(h)
		h = append(h, 0)
		h = append(h, e.Body...)
	}
	h[next] = byte(p.Port.Proto)
	binary.BigEndian.PutUint16(h[4:], size(len(h)-40+payload))
	return h
}

// transport returns the TCP segment or UDP datagram with its checksum.
func transport(p packet.Packet, o Options) []byte {
	var t []byte
	at := 16
	switch p.Port.Proto {
	case packet.TCP:
		t = append(make([]byte, 20), pad(o.TCPOptions)...)
		t[12] = byte(len(t)/4) << 4
		t[13] = byte(p.Flags)
		binary.BigEndian.PutUint32(t[4:], o.Seq)
		binary.BigEndian.PutUint16(t[14:], 65535)
	case packet.UDP:
		t, at = make([]byte, 8), 6
		binary.BigEndian.PutUint16(t[4:], size(8+len(o.Payload)))
	default:
		return o.Payload
	}
	binary.BigEndian.PutUint16(t, p.SrcPort)
	binary.BigEndian.PutUint16(t[2:], p.Port.Number)
	t = append(t, o.Payload...)
	sum := checksum(append(pseudo(p, len(t)), t...))
	if sum == 0 && p.Port.Proto == packet.UDP {
		sum = 0xffff // 0 means that there is none (RFC 768)
	}
	binary.BigEndian.PutUint16(t[at:], sum)
	return t
}

// pseudo returns the header that only checksums see. That of IPv4 (RFC 9293) and that of IPv6 (RFC 8200) have the same
// sum when lengths fit in 16 bits.
func pseudo(p packet.Packet, length int) []byte {
	b := append(p.Src.AsSlice(), p.Dst.AsSlice()...)
	b = binary.BigEndian.AppendUint32(b, uint32(length))
	return append(b, 0, 0, 0, byte(p.Port.Proto))
}

// checksum is the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for i, c := range b {
		if i%2 == 0 {
			sum += uint32(c) << 8
		} else {
			sum += uint32(c)
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// pad returns a copy of options padded to a multiple of 4.
func pad(options []byte) []byte {
	b := append([]byte(nil), options...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	if len(b) > 40 {
		panic(fmt.Sprintf("packettest: %d bytes of options", len(b)))
	}
	return b
}

// size is n as a length field.
func size(n int) uint16 {
	if n > 0xffff {
		panic(fmt.Sprintf("packettest: %d bytes do not fit", n))
	}
	return uint16(n)
}
