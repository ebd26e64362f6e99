package packet_test

import (
	"net/netip"
	"testing"
	"time"

	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

var (
	src4 = netip.MustParseAddr("198.51.100.4")
	dst4 = netip.MustParseAddr("192.0.2.1")
	src6 = netip.MustParseAddr("2001:db8::4")
	dst6 = netip.MustParseAddr("2001:db8::1")
)

func tcp4() packet.Packet {
	return packet.Packet{
		Src: src4, Dst: dst4, SrcPort: 40000,
		Port: packet.Port{Proto: packet.TCP, Number: 7000}, Flags: packet.SYN,
	}
}

func udp4() packet.Packet {
	p := tcp4()
	p.Port.Proto, p.Flags = packet.UDP, 0
	return p
}

func tcp6() packet.Packet {
	p := tcp4()
	p.Src, p.Dst = src6, dst6
	return p
}

func udp6() packet.Packet {
	p := udp4()
	p.Src, p.Dst = src6, dst6
	return p
}

type (
	options = packettest.Options
	chain   = []packettest.Extension
)

func TestParse(t *testing.T) {
	eight := make([]byte, 8)
	chainOf := func(n int) (c chain) {
		for range n {
			c = append(c, packettest.DestinationOptions(0))
		}
		return c
	}
	allFlags := tcp4()
	allFlags.Flags = 63
	zeroPorts := udp4()
	zeroPorts.SrcPort, zeroPorts.Port.Number = 0, 0
	for _, test := range []struct {
		name string
		p    packet.Packet
		o    options
	}{
		{"tcp", tcp4(), options{}},
		{"tcp with every flag", allFlags, options{}},
		{"udp", udp4(), options{Payload: []byte{0}}},
		{"udp, no payload, zero ports", zeroPorts, options{}},
		{"ip options", tcp4(), options{IPv4Options: make([]byte, 40)}},
		{"tcp options", tcp4(), options{TCPOptions: make([]byte, 40), Payload: eight}},
		{"do not fragment", tcp4(), options{Fragment: 0x4000}},
		{"first fragment", tcp4(), options{Fragment: 0x2000, Payload: eight}},
		{"first fragment of a bare header", tcp4(), options{Fragment: 0x2000}},
		{"tcp over ipv6", tcp6(), options{}},
		{"udp over ipv6", udp6(), options{Payload: eight}},
		{"hop-by-hop", tcp6(), options{Extensions: chain{packettest.HopByHop(2)}}},
		{"routing that has ended", tcp6(), options{Extensions: chain{packettest.Routing(0)}}},
		{"authentication", tcp6(), options{Extensions: chain{packettest.Authentication(3)}}},
		{"atomic fragment", tcp6(), options{Extensions: chain{packettest.Fragment(0, false)}}},
		{"first fragment over ipv6", udp6(), options{Extensions: chain{packettest.Fragment(0, true)}}},
		{"longest chain", tcp6(), options{Extensions: chainOf(packet.MaxExtensions)}},
		{"several kinds", udp6(), options{Extensions: chain{
			packettest.HopByHop(0), packettest.DestinationOptions(31), packettest.Routing(0),
			packettest.Fragment(0, true), packettest.Authentication(1), packettest.DestinationOptions(0),
		}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := packettest.Build(test.p, test.o)
			got := packet.Packet{Time: time.Second, Interface: 3}
			want := test.p
			want.Time, want.Interface = time.Second, 3
			if err := packet.Parse(b, &got); err != nil || got != want {
				t.Errorf("Parse = %+v, %v; want %+v", got, err, want)
			}
			// Padding changes nothing, and neither does a snap length that keeps the headers.
			if err := packet.Parse(append(b, make([]byte, 30)...), &got); err != nil || got != want {
				t.Errorf("padded: Parse = %+v, %v", got, err)
			}
			snapped := b[:len(b)-len(test.o.Payload)]
			if err := packet.ParseSnapped(snapped, len(b), &got); err != nil || got != want {
				t.Errorf("snapped: Parse = %+v, %v", got, err)
			}
			if err := packet.ParseSnapped(b, len(b)-1, &got); err != packet.ErrLength {
				t.Errorf("longer than the wire: Parse = %v", err)
			}
		})
	}
}

func TestParseCutAnywhere(t *testing.T) {
	for _, p := range []packet.Packet{tcp4(), udp4(), tcp6(), udp6()} {
		o := options{IPv4Options: make([]byte, 8)}
		if p.Src.Is6() {
			o.Extensions = chain{packettest.HopByHop(0), packettest.Authentication(1)}
		}
		b := packettest.Build(p, o)
		for n := range b {
			var got packet.Packet
			if err := packet.Parse(b[:n:n], &got); err != packet.ErrTruncated || got != (packet.Packet{}) {
				t.Errorf("%v, %d of %d bytes: %+v, %v", p, n, len(b), got, err)
			}
		}
	}
}
