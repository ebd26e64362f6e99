package capture

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"knockd/internal/config"
	"knockd/internal/decoy"
	"knockd/internal/filter"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// testRandomPackets captures exactly what random rules admit, told by filter.Spec.Admits packet by packet.
func testRandomPackets(t *testing.T, b config.Backend) {
	s := newScene(t, b, tcp(1))
	r := rand.New(rand.NewPCG(3, 4))
	for range 10 {
		w := s.want(b)
		w.Spec = randomSpec(r, w.Spec.Own)
		s.set(w)
		var sent [][]byte
		var want []packet.Packet
		for range 200 {
			p := randomPacket(r, s, w.Spec)
			sent = append(sent, packettest.Build(p, packettest.Options{}))
			if w.Spec.Admits(&p) {
				want = append(want, p)
			}
		}
		compare(t, s.arrive(sent...), want, s.at.Index)
	}
}

func randomPort(r *rand.Rand) packet.Port {
	p := udp(uint16(7000 + r.IntN(40)))
	if r.IntN(2) == 0 {
		p.Proto = packet.TCP
	}
	return p
}

func randomSpec(r *rand.Rand, own []netip.Addr) filter.Spec {
	s := filter.Spec{Own: own}
	var sequences []packet.Port
	for range r.IntN(8) {
		rule := filter.Rule{Flags: packet.FlagMatch{Set: packet.Flags(r.IntN(64)), Clear: packet.Flags(r.IntN(64))}}
		for range r.IntN(4) {
			rule.Ports = append(rule.Ports, randomPort(r))
		}
		s.Rules = append(s.Rules, rule)
		sequences = append(sequences, rule.Ports...)
	}
	key, _ := decoy.NewKey(rand.NewChaCha8([32]byte{byte(r.Uint32())}))
	s.Decoys = []*decoy.Set{decoy.New(key, r.IntN(30000), nil, sequences)}
	return s
}

func randomPacket(r *rand.Rand, s *scene, spec filter.Spec) packet.Packet {
	p := s.knock4(randomPort(r))
	if r.IntN(2) == 0 {
		p = s.knock6(randomPort(r))
	}
	if p.Port.Proto == packet.TCP {
		p.Flags = packet.Flags(r.IntN(64))
	}
	if r.IntN(3) == 0 {
		p.Port.Number = uint16(r.IntN(1 << 16))
	}
	if len(spec.Rules) > 0 && r.IntN(2) == 0 && p.Port.Proto == packet.TCP {
		p.Flags = spec.Rules[r.IntN(len(spec.Rules))].Flags.Set
	}
	return p
}

// testLiveRules changes rules while packets come that all of them admit: none is lost, none comes twice.
func testLiveRules(t *testing.T, b config.Backend) {
	s := newScene(t, b, udp(7000))
	var want []packet.Packet
	var got []packet.Packet
	for round := range 40 {
		s.c.Set(s.want(b, udp(7000), tcp(uint16(8000+round)), udp(uint16(9000-round))))
		s.witness.burst(s.client, func() {
			for n := range 25 {
				p := s.knock4(udp(7000))
				p.SrcPort = uint16(100*round + n)
				want = append(want, p)
				netlabtest.Check(t, s.client.SendIP(packettest.Build(p, packettest.Options{})))
			}
		})
		got = append(got, s.sync()...)
	}
	compare(t, got, want, s.at.Index)
}

// testManyDoors has 20,000 doors, for some of which a classic program has no room.
func testManyDoors(t *testing.T, b config.Backend) {
	s := newScene(t, b, udp(1))
	w := s.want(b)
	w.Spec.Rules = nil
	for n := range uint16(20000) {
		w.Spec.Rules = append(w.Spec.Rules, filter.Rule{Ports: []packet.Port{tcp(3 * n), udp(3*n + 1), tcp(3*n + 2)}})
	}
	s.set(w)
	var sent [][]byte
	var want []packet.Packet
	for n := range uint16(100) {
		for _, p := range []packet.Packet{s.knock4(tcp(600 * n)), s.knock6(udp(600*n + 1))} {
			sent, want = append(sent, packettest.Build(p, packettest.Options{})), append(want, p)
		}
	}
	compare(t, s.arrive(sent...), want, s.at.Index)
}

// testLosses fills all there is while nobody takes the packets: what is lost is counted, what is counted is lost.
func testLosses(t *testing.T, b config.Backend) {
	s := newScene(t, b, udp(7000))
	sent := uint64(0)
	for s.c.Stats().Dropped == 0 {
		if sent > 1<<20 {
			t.Fatalf("%d packets and no loss", sent)
		}
		s.witness.burst(s.client, func() {
			for range 2000 {
				netlabtest.Check(t, s.client.SendIP(packettest.Build(s.knock4(udp(7000)), packettest.Options{})))
			}
		})
		sent += 2000
	}
	got := uint64(len(s.sync()))
	if n := s.c.Stats(); got+n.Dropped != sent || n.Received != got {
		t.Errorf("%d sent, %d captured, %+v", sent, got, n)
	}
	s.until(s.knock4(udp(7000)))
	if n := s.c.Stats().Interfaces; len(n) != 1 || n[0].Name != netlab.Interface || n[0].Dropped == 0 {
		t.Errorf("interfaces: %+v", n)
	}
}
