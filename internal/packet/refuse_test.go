package packet_test

import (
	"net/netip"
	"testing"

	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

func TestParseRefuses(t *testing.T) {
	from := func(p packet.Packet, src string) packet.Packet {
		p.Src = netip.MustParseAddr(src)
		return p
	}
	protocol := func(p packet.Packet, n packet.Proto) packet.Packet {
		p.Port.Proto = n
		return p
	}
	set := func(at int, value ...byte) func([]byte) {
		return func(b []byte) { copy(b[at:], value) }
	}
	mapped := tcp6()
	mapped.Dst = netip.MustParseAddr("::ffff:192.0.2.1")
	nine := make(chain, packet.MaxExtensions+1)
	for i := range nine {
		nine[i] = packettest.DestinationOptions(0)
	}
	for _, test := range []struct {
		name   string
		p      packet.Packet
		o      options
		change func([]byte)
		want   error
	}{
		{"version 5", tcp4(), options{}, set(0, 0x55), packet.ErrVersion},
		{"header length 4", tcp4(), options{}, set(0, 0x44), packet.ErrLength},
		{"total length beyond the captured bytes", tcp4(), options{}, set(2, 5, 0), nil},
		{"header of 60 in a packet of 40", tcp4(), options{}, set(0, 0x4f), packet.ErrLength},
		{"total length 0", tcp4(), options{}, set(2, 0, 0), packet.ErrLength},
		{"total length ends within tcp", tcp4(), options{}, set(2, 0, 39), packet.ErrLength},
		{"total length ends within udp", udp4(), options{}, set(2, 0, 27), packet.ErrLength},
		{"tcp header beyond the packet", tcp4(), options{}, set(32, 0x60), packet.ErrLength},
		{"tcp header length 4", tcp4(), options{}, set(32, 0x40), packet.ErrLength},
		{"udp length 7", udp4(), options{}, set(24, 0, 7), packet.ErrLength},
		{"udp length 0", udp4(), options{}, set(24, 0, 0), packet.ErrLength},
		{"udp longer than the packet", udp4(), options{}, set(24, 0, 9), packet.ErrLength},
		{"udp shorter than the packet", udp4(), options{Payload: []byte{1, 2}}, set(24, 0, 9), nil},
		{"udp longer than its first fragment", udp4(), options{Fragment: 0x2000}, set(24, 9, 0), nil},
		{"later fragment", tcp4(), options{Fragment: 0x2001}, nil, packet.ErrFragment},
		{"last fragment", udp4(), options{Fragment: 185}, nil, packet.ErrFragment},
		{"tiny fragment", tcp4(), options{Fragment: 0x2000}, set(2, 0, 36), packet.ErrFragment},
		{"tcp options in the next fragment", tcp4(), options{Fragment: 0x2000}, set(32, 0x80), packet.ErrFragment},
		{"icmp", protocol(tcp4(), 1), options{Payload: make([]byte, 30)}, nil, packet.ErrProtocol},
		{"source 0.0.0.0", from(tcp4(), "0.0.0.0"), options{}, nil, packet.ErrSource},
		{"source 0.1.2.3", from(tcp4(), "0.1.2.3"), options{}, nil, packet.ErrSource},
		{"source multicast", from(tcp4(), "224.0.0.1"), options{}, nil, packet.ErrSource},
		{"source broadcast", from(tcp4(), "255.255.255.255"), options{}, nil, packet.ErrSource},
		{"source loopback is left to others", from(tcp4(), "127.0.0.1"), options{}, nil, nil},

		{"ipv6 source unspecified", from(udp6(), "::"), options{}, nil, packet.ErrSource},
		{"ipv6 source multicast", from(udp6(), "ff02::1"), options{}, nil, packet.ErrSource},
		{"ipv6 source mapped", from(udp6(), "::ffff:198.51.100.4"), options{}, nil, packet.ErrSource},
		{"ipv6 destination mapped", mapped, options{}, nil, packet.ErrDestination},
		{"payload length 0 (jumbogram)", tcp6(), options{}, set(4, 0, 0), packet.ErrLength},
		{"payload ends within tcp", tcp6(), options{}, set(4, 0, 19), packet.ErrLength},
		{"esp", protocol(tcp6(), 50), options{Payload: make([]byte, 30)}, nil, packet.ErrProtocol},
		{"no next header", protocol(tcp6(), 59), options{Payload: make([]byte, 30)}, nil, packet.ErrProtocol},
		{"icmpv6", protocol(tcp6(), 58), options{Payload: make([]byte, 30)}, nil, packet.ErrProtocol},
		{"too many extensions", tcp6(), options{Extensions: nine}, nil, packet.ErrExtension},
		{
			"hop-by-hop not first", tcp6(),
			options{Extensions: chain{packettest.DestinationOptions(0), packettest.HopByHop(0)}},
			nil, packet.ErrExtension,
		},
		{"segments left", tcp6(), options{Extensions: chain{packettest.Routing(1)}}, nil, packet.ErrExtension},
		{"later ipv6 fragment", tcp6(), options{Extensions: chain{packettest.Fragment(1, true)}}, nil, packet.ErrFragment},
		{"last ipv6 fragment", tcp6(), options{Extensions: chain{packettest.Fragment(9, false)}}, nil, packet.ErrFragment},
		{
			"tiny ipv6 fragment", tcp6(),
			options{Extensions: chain{packettest.Fragment(0, true)}},
			set(4, 0, 20), packet.ErrFragment,
		},
		{
			"extension cut by a fragment", udp6(),
			options{Extensions: chain{packettest.Fragment(0, true), packettest.DestinationOptions(0)}},
			set(4, 0, 12), packet.ErrFragment,
		},
		{
			"extension longer than the packet", tcp6(),
			options{Extensions: chain{packettest.DestinationOptions(0)}},
			set(41, 9), packet.ErrLength,
		},
		{
			"extension ends within 8 bytes", tcp6(),
			options{Extensions: chain{packettest.DestinationOptions(0)}},
			set(4, 0, 7), packet.ErrLength,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := packettest.Build(test.p, test.o)
			if test.change != nil {
				test.change(b)
			}
			var got packet.Packet
			err := packet.Parse(b, &got)
			if err != test.want {
				t.Errorf("Parse = %v, want %v", err, test.want)
			}
			if err != nil && got != (packet.Packet{}) {
				t.Errorf("refused, but filled: %+v", got)
			}
		})
	}
}
