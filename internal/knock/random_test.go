package knock

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"knockd/internal/packet"
)

// world is random doors, sources and packets, small enough to collide all the time.
type world struct {
	*rand.Rand
	doors []Door
}

func newWorld(seed uint64) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 1))}
	decoys := portSet{{Proto: packet.TCP, Number: 8}: true, {Proto: packet.UDP, Number: 7}: true}
	variety, timeouts := 1+w.IntN(4), 1+w.IntN(8)
	for range 1 + w.IntN(5) {
		d := Door{Timeout: time.Duration(2+w.IntN(timeouts)) * time.Second, Sequence: w.sequence(variety)}
		switch w.IntN(6) {
		case 0:
			d.Flags = packet.FlagMatch{Set: packet.SYN}
		case 1:
			d.Flags = packet.FlagMatch{Clear: packet.ACK}
		case 2:
			d.Target = other
		case 3:
			d.Target = server
		}
		if w.IntN(3) == 0 {
			d.Decoys = decoys
		}
		w.doors = append(w.doors, d)
	}
	return w
}

// sequence is of few different ports, so that it overlaps itself.
func (w *world) sequence(variety int) (list []packet.Port) {
	for range 1 + w.IntN(8) {
		list = append(list, w.port(variety))
	}
	return list
}

func (w *world) port(n int) packet.Port {
	proto := packet.TCP
	if w.IntN(5) == 0 {
		proto = packet.UDP
	}
	return packet.Port{Proto: proto, Number: uint16(1 + w.IntN(n))}
}

func (w *world) packet(now time.Duration) packet.Packet {
	p := packet.Packet{
		Time: now - time.Duration(w.IntN(3)/2)*time.Second, Src: people[w.IntN(len(people))], Dst: server, Port: w.port(1 + w.IntN(8)),
		Flags: []packet.Flags{packet.SYN, packet.SYN | packet.ACK, packet.ACK, 0}[w.IntN(4)/2],
	}
	if w.IntN(4) == 0 {
		p.Dst = other
	}
	return p
}

func TestAgainstTheOracle(t *testing.T) {
	worlds := 2000 / slower
	if testing.Short() {
		worlds = 100 / slower
	}
	for seed := range uint64(worlds) {
		compare(t, seed, 200)
		if t.Failed() {
			return
		}
	}
}

func FuzzAgainstTheOracle(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { compare(t, seed, 100) })
}

// compare shows engine and oracle the same packets, and holds what they say against each other.
func compare(t *testing.T, seed uint64, packets int) {
	t.Helper()
	w := newWorld(seed)
	own := []netip.Addr{server}
	options := Options{MaxSources: 64}
	e, o := New(w.doors, options), newOracle(w.doors, own)
	e.SetOwn(own)
	now, pace := 10*time.Second, 1+w.IntN(1500)
	for i := range packets {
		now += time.Duration(w.IntN(pace)) * time.Millisecond
		if w.IntN(10) == 0 {
			check(t, seed, i, e.Expire(now, nil), o.expire(now, func(oracleKey) bool { return true }))
		}
		e = w.change(e, o, options)
		p := w.packet(now)
		check(t, seed, i, e.Step(&p, nil), o.step(p))
		if i%8 == 0 {
			consistent(t, e)
		}
		if t.Failed() {
			t.Logf("packet %+v", p)
			return
		}
	}
	e.Expire(now+time.Hour, nil)
	if s := e.Stats(); s.Sources != 0 || s.Alignments != 0 || s.Evicted != 0 {
		t.Errorf("seed %d: left %+v", seed, s)
	}
}

// change does from time to time what a reload or a one-time sequence does.
func (w *world) change(e *Engine, o *oracle, options Options) *Engine {
	switch w.IntN(40) {
	case 0:
		door, sequence := w.IntN(len(w.doors)), w.sequence(3)
		e.SetSequence(door, sequence)
		o.setSequence(door, sequence)
	case 1:
		mapping := make([]int, len(w.doors))
		for i := range mapping {
			mapping[i] = i
		}
		next := New(w.doors, options)
		next.SetOwn([]netip.Addr{server})
		next.Adopt(e, mapping)
		return next
	}
	return e
}

// check compares events; deaths of one moment have no order.
func check(t *testing.T, seed uint64, i int, got, want []Event) {
	t.Helper()
	for _, events := range [][]Event{got, want} {
		slices.SortStableFunc(events, func(a, b Event) int {
			if a.Kind != TimedOut || b.Kind != TimedOut {
				return 0
			}
			return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Door, b.Door), a.Source.Compare(b.Source))
		})
	}
	if !slices.Equal(got, want) {
		t.Errorf("seed %d, step %d:\ngot  %v\nwant %v", seed, i, got, want)
	}
}
