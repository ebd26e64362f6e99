package capture

import (
	"math/rand/v2"
	"testing"
	"time"

	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// The program takes exactly what package packet parses and the doors ask for, from packets that lie, are cut short or
// have headers in any order.
func TestProgramParses(t *testing.T) {
	s := heldSpec()
	s.Rules[0].Flags = packet.FlagMatch{Set: packet.SYN}
	b := newBench(t, s, peace)
	r := rand.New(rand.NewPCG(9, 10))
	taken := 0
	for range 30000 {
		frame := frameOf(randomSource(r), randomOptions(r))
		mutate(r, frame[14:])
		// The facility itself refuses what is shorter than an IP header (Linux 6.18).
		header := 20
		if frame[12] != 8 {
			header = 40
		}
		if r.IntN(4) == 0 {
			frame = frame[:14+header+r.IntN(len(frame)-13-header)]
		}
		var want packet.Packet
		err := packet.ParseSnapped(frame[14:], len(frame)-14, &want)
		admitted := err == nil && want.Src.Is4() == (frame[12] == 8) && s.Admits(&want)
		b.run(frame)
		got := b.delivered()
		if len(got) == 1 {
			taken++
			got[0].Time, got[0].Interface = time.Duration(0), 0
		}
		if admitted != (len(got) == 1) || admitted && got[0] != want {
			t.Fatalf("%x\ndelivered %+v, want %v %+v (%v)", frame, got, admitted, want, err)
		}
	}
	t.Logf("%d taken", taken)
	if taken < 3000 || taken > 27000 {
		t.Errorf("%d taken: the test tells little", taken)
	}
}

func randomSource(r *rand.Rand) packet.Packet {
	to := []packet.Port{tcp(1), udp(2), tcp(3), tcp(9), udp(5)}[r.IntN(5)]
	if r.IntN(2) == 0 {
		return stranger(r.Uint32N(100), to)
	}
	return stranger6(r.Uint32N(100), to)
}

func randomOptions(r *rand.Rand) (o packettest.Options) {
	if r.IntN(3) == 0 {
		o.IPv4Options = make([]byte, 4*r.IntN(11))
	}
	if r.IntN(3) == 0 {
		o.TCPOptions = make([]byte, 4*r.IntN(11))
	}
	if r.IntN(4) == 0 {
		o.Payload = make([]byte, r.IntN(40))
	}
	for range r.IntN(4) * r.IntN(4) {
		o.Extensions = append(o.Extensions, randomExtension(r))
	}
	return o
}

func randomExtension(r *rand.Rand) packettest.Extension {
	switch r.IntN(8) {
	case 0:
		return packettest.HopByHop(r.IntN(3))
	case 1:
		return packettest.Routing(uint8(r.IntN(2)))
	case 2, 3:
		return packettest.Fragment(uint16(r.IntN(2)*r.IntN(2)), r.IntN(2) == 0)
	default:
		return packettest.DestinationOptions(r.IntN(3))
	}
}

// mutate changes a few bits of most packets, rather near the beginning, where the headers are.
func mutate(r *rand.Rand, ip []byte) {
	for range r.IntN(3) {
		ip[r.IntN(1+r.IntN(len(ip)))] ^= 1 << r.IntN(8)
	}
}
