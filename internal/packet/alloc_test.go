package packet_test

import (
	"testing"

	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// hotPath is every way through Parse that a packet of a flood can take.
func hotPath() map[string][]byte {
	return map[string][]byte{
		"tcp4": packettest.Build(tcp4(), options{}),
		"udp6": packettest.Build(udp6(), options{}),
		"extensions": packettest.Build(tcp6(), options{Extensions: chain{
			packettest.HopByHop(0), packettest.Routing(0), packettest.Fragment(0, false),
		}}),
		"refused": packettest.Build(tcp4(), options{Fragment: 1}),
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	for name, b := range hotPath() {
		var p packet.Packet
		if n := testing.AllocsPerRun(100, func() { _ = packet.Parse(b, &p) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for name, raw := range hotPath() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var p packet.Packet
			for b.Loop() {
				_ = packet.Parse(raw, &p)
			}
		})
	}
}
