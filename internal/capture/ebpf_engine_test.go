package capture

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"knockd/internal/filter"
	engine "knockd/internal/knock"
	"knockd/internal/packet"
)

// What is held back changes nothing for the doors: an engine that sees what the program delivers, with every first
// packet held, opens what an engine opens that sees all.
func TestHeldEngine(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	b := newBench(t, heldSpec(), always)
	opened := 0
	for round := range uint32(20) {
		doors, s := randomDoors(r)
		if err := b.tables.update(rules{spec: s, floodThreshold: always}); err != nil {
			t.Fatal(err)
		}
		all, some := engine.New(doors, engine.Options{}), engine.New(doors, engine.Options{})
		all.SetOwn(s.Own)
		some.SetOwn(s.Own)
		var want, got []engine.Event
		times := map[uint16]time.Duration{}
		for n := range uint16(600) {
			p := stranger(100*round+r.Uint32N(12), randomHit(r))
			if r.IntN(4) == 0 {
				p.Flags = packet.ACK
			}
			if p.Port.Proto == packet.UDP {
				p.Flags = 0
			}
			p.SrcPort = n
			times[n] = time.Duration(n) * time.Second
			for _, q := range b.show(p) {
				q.Time = times[q.SrcPort]
				got = some.Step(&q, got)
			}
			p.Time = times[n]
			want = all.Step(&p, want)
		}
		want, got = openings(want), openings(got)
		if !slices.Equal(got, want) {
			t.Fatalf("doors %+v\nopened %+v\nwant   %+v", doors, got, want)
		}
		opened += len(want)
	}
	if opened < 100 {
		t.Errorf("only %d openings", opened)
	}
}

func openings(events []engine.Event) []engine.Event {
	return slices.DeleteFunc(events, func(e engine.Event) bool { return e.Kind != engine.Opened })
}

func randomHit(r *rand.Rand) packet.Port {
	p := tcp(uint16(1 + r.IntN(4)))
	if r.IntN(3) == 0 {
		p.Proto = packet.UDP
	}
	return p
}

// randomDoors are a few doors of few ports, and their spec.
func randomDoors(r *rand.Rand) (doors []engine.Door, s filter.Spec) {
	s = heldSpec()
	s.Rules = nil
	for range 1 + r.IntN(4) {
		d := engine.Door{Timeout: time.Duration(20+r.IntN(200)) * time.Second}
		if r.IntN(3) == 0 {
			d.Flags.Set = packet.SYN
		}
		for range 1 + r.IntN(4) {
			d.Sequence = append(d.Sequence, randomHit(r))
		}
		doors = append(doors, d)
		s.Rules = append(s.Rules, filter.Rule{Flags: d.Flags, Ports: d.Sequence, Once: len(d.Sequence) == 1})
	}
	return doors, s
}
