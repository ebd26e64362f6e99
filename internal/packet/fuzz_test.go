package packet_test

import (
	"bytes"
	"net/netip"
	"testing"

	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// FuzzParse: whatever the bytes, Parse reads nothing beyond them, leaves p alone on an error, and what it does accept
// is exactly what a packet built from its fields parses to.
func FuzzParse(f *testing.F) {
	for _, b := range hotPath() {
		f.Add(b)
	}
	f.Add(packettest.Build(udp4(), options{IPv4Options: make([]byte, 8), Fragment: 0x2000}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p, again packet.Packet
		if err := packet.Parse(b[:len(b):len(b)], &p); err != nil {
			if p != (packet.Packet{}) {
				t.Fatalf("refused with %v, but filled: %+v", err, p)
			}
			return
		}
		if p.Src.Is4In6() || p.Dst.Is4In6() || p.Src.Is4() != p.Dst.Is4() {
			t.Fatalf("addresses: %+v", p)
		}
		if err := packet.Parse(packettest.Build(p, options{}), &again); err != nil || again != p {
			t.Fatalf("%+v is built and parsed as %+v, %v", p, again, err)
		}
	})
}

// FuzzBuild: a packet made of any fields, options and extension headers is parsed to these fields.
func FuzzBuild(f *testing.F) {
	f.Add(src4.AsSlice(), dst4.AsSlice(), uint16(1), uint16(2), byte(2), true, uint64(0), []byte("payload"))
	f.Add(src6.AsSlice(), dst6.AsSlice(), uint16(1), uint16(2), byte(63), false, uint64(0x54321), []byte{})
	f.Fuzz(func(t *testing.T, src, dst []byte, from, to uint16, flags byte, tcp bool, kinds uint64, payload []byte) {
		s, ok1 := netip.AddrFromSlice(src)
		d, ok2 := netip.AddrFromSlice(dst)
		if !ok1 || !ok2 || s.Is4() != d.Is4() || len(payload) > 1400 {
			return
		}
		p := packet.Packet{Src: s, Dst: d, SrcPort: from, Port: packet.Port{Proto: packet.UDP, Number: to}}
		if tcp {
			p.Port.Proto, p.Flags = packet.TCP, packet.Flags(flags&63)
		}
		o := options{Payload: payload, Extensions: chainFrom(kinds)}
		o.IPv4Options = bytes.Repeat([]byte{1}, int(kinds%41))
		o.TCPOptions = bytes.Repeat([]byte{1}, int(kinds>>8%41))
		var got packet.Packet
		switch err := packet.Parse(packettest.Build(p, o), &got); err {
		case nil:
			if got != p {
				t.Fatalf("%+v with %+v is parsed as %+v", p, o, got)
			}
		case packet.ErrSource, packet.ErrDestination:
		default:
			t.Fatalf("%+v with %+v: %v", p, o, err)
		}
	})
}

// chainFrom makes a chain of extension headers that Parse takes, one per hexadecimal digit of kinds.
func chainFrom(kinds uint64) (c chain) {
	for ; kinds != 0 && len(c) < packet.MaxExtensions; kinds >>= 4 {
		extra := int(kinds >> 2 & 3)
		switch kinds & 3 {
		case 0:
			c = append(c, packettest.DestinationOptions(extra))
		case 1:
			c = append(c, packettest.Routing(0))
		case 2:
			c = append(c, packettest.Fragment(0, extra&1 == 1))
		case 3:
			c = append(c, packettest.Authentication(extra))
		}
	}
	return c
}
