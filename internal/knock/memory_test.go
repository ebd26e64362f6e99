package knock

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"knockd/internal/packet"
)

// visitor is the i-th of many addresses.
func visitor(i uint32) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], i|1<<26)
	return netip.AddrFrom4(a)
}

func TestMemoryIsBounded(t *testing.T) {
	strangers := uint32(10_000_000)
	if testing.Short() {
		strangers = 400_000
	}
	e := engineOf(doorOf(25, 1, 2, 3))
	var events []Event
	for i := range strangers {
		p := hit(visitor(i), time.Duration(i)*time.Microsecond, 1)
		events = e.Step(&p, events[:0])
	}
	s := e.Stats()
	if s.Sources > DefaultMaxSources || s.Bytes > 24<<20 {
		t.Errorf("%+v", s)
	}
	if s.Evicted != uint64(strangers)-uint64(s.Sources) {
		t.Errorf("%d evicted, %d left of %d", s.Evicted, s.Sources, strangers)
	}
	e.Expire(time.Hour, nil)
	if s := e.Stats(); s.Sources != 0 || s.Alignments != 0 {
		t.Errorf("left: %+v", s)
	}
}

func TestManyDoorsOfOneFirstPort(t *testing.T) {
	var doors []Door
	for i := range uint16(500) {
		doors = append(doors, doorOf(25, 1, 1000+i, 2))
	}
	e := New(doors, Options{MaxSources: 10000})
	e.SetOwn([]netip.Addr{server})
	var events []Event
	for i := range uint32(2000) {
		p := hit(visitor(i), 0, 1)
		events = e.Step(&p, events[:0])
	}
	if s := e.Stats(); s.Alignments > 15000 {
		t.Errorf("%+v", s)
	}
}

// TestTheOrderOfSacrifice fills a small table: strangers have a half of it to themselves, and in the other half those of
// the lowest stage go first, and no stage fills it.
func TestTheOrderOfSacrifice(t *testing.T) {
	const most = 200
	e := New([]Door{doorOf(1000, 1, 2, 3, 4, 5)}, Options{MaxSources: most})
	e.SetOwn([]netip.Addr{server})
	show := func(from, n uint32, upTo uint16) {
		for who := range n {
			for port := uint16(1); port <= upTo; port++ {
				p := hit(visitor(from+who), 0, port)
				e.Step(&p, nil)
			}
		}
	}
	want := func(what string, strangers int, stages ...int) {
		t.Helper()
		if e.strangers.count != strangers {
			t.Errorf("%s: %d strangers, want %d", what, e.strangers.count, strangers)
		}
		for i, n := range stages {
			// A newcomer takes its place before it is known how far it goes: one more or less.
			if got := e.sources.lists[i+2].length; got < n-1 || got > n+1 {
				t.Errorf("%s: %d sources of stage %d, want %d", what, got, i+2, n)
			}
		}
		if s := e.Stats(); s.Sources > most {
			t.Errorf("%s: %d sources", what, s.Sources)
		}
	}
	show(0, 1000, 1)
	want("strangers alone", most/2)
	show(2000, 1000, 2)
	want("who knows two ports", 0, most/4)
	show(4000, 1000, 3)
	want("who knows three", 0, most/4, most/4)
	show(6000, 20, 4)
	want("the lowest stage makes room", 0, most/4-20, most/4, 20)
	show(8000, 1000, 1)
	want("strangers take nobody's place", most/2, most/4-20, most/4, 20)
	for who, port := range map[uint32]uint16{4999: 4, 4960: 4, 6019: 5, 6000: 5, 2999: 3, 2975: 3, 8999: 2, 8900: 2} {
		p := hit(visitor(who), 0, port)
		if len(e.Step(&p, nil)) != 1 {
			t.Errorf("%d, one of the latest, is forgotten", who)
		}
	}
	for who, port := range map[uint32]uint16{4949: 4, 2969: 3, 8899: 2} {
		p := hit(visitor(who), 0, port)
		if len(e.Step(&p, nil)) != 0 {
			t.Errorf("%d, who came before those that fill the table, is not forgotten", who)
		}
	}
}

// attack is sources that each show a door of ports 1, 2, 3 what they know, at a rate of packets a second.
type attack struct {
	shows []uint16
	rate  int
}

// TestAKnockAmongAttackers shows a right knock, its hits apart by a gap, in an attack. What survives is what Engine's
// comment says.
func TestAKnockAmongAttackers(t *testing.T) {
	for name, a := range map[string]attack{
		"one port known":              {[]uint16{1}, 390_000},
		"one port known, shown twice": {[]uint16{1, 1}, 390_000},
		"two ports known":             {[]uint16{1, 2}, 390_000},
		"two ports known, mixed":      {[]uint16{1, 2, 1}, 390_000},
		"a scan":                      {[]uint16{1, 3}, 390_000},
	} {
		for _, gap := range []time.Duration{50 * time.Millisecond, time.Second} {
			t.Run(name+", "+gap.String(), func(t *testing.T) {
				e := engineOf(doorOf(25, 1, 2, 3))
				if got := a.around(e, gap); got != "0:1, 0:2, 0:open" {
					t.Error(got)
				}
				if s := e.Stats(); s.Bytes > 40<<20 {
					t.Errorf("%d bytes", s.Bytes)
				}
			})
		}
	}
}

// TestHowSlowAKnockMayBe holds a smaller table to the bound from both sides.
func TestHowSlowAKnockMayBe(t *testing.T) {
	const most = 10_000
	for _, shows := range [][]uint16{{1}, {1, 2}} {
		for rate, opens := range map[int]bool{most/2 - 100: true, most/2 + 100: false} {
			e := New([]Door{doorOf(25, 1, 2, 3)}, Options{MaxSources: most})
			e.SetOwn([]netip.Addr{server})
			got := attack{shows, rate}.around(e, time.Second)
			if (got == "0:1, 0:2, 0:open") != opens {
				t.Errorf("%d ports known, %d packets/s, a table of %d: %s", len(shows), rate, most, got)
			}
		}
	}
}

// around shows the attack's packets in the gaps of a right knock, and tells what the knock did.
func (a attack) around(e *Engine, gap time.Duration) string {
	var told []string
	var events []Event
	next, between := uint32(0), int(gap.Seconds()*float64(a.rate))
	for port := uint16(1); port <= 3; port++ {
		start := time.Duration(port) * gap
		p := hit(alice, start, port)
		told = append(told, tell(e.Step(&p, nil)))
		for i := range between {
			p := hit(visitor(next), start+gap*time.Duration(i)/time.Duration(between), a.shows[i%len(a.shows)])
			events = e.Step(&p, events[:0])
			if i%len(a.shows) == len(a.shows)-1 {
				next++
			}
		}
	}
	return strings.Join(told, ", ")
}

func TestStepAllocatesNothing(t *testing.T) {
	e := engineOf(doorOf(25, 1, 2, 3), doorOf(25, 1, 5, 6))
	e.decoys = true
	events := make([]Event, 0, 16)
	for i := range uint32(DefaultMaxSources) { // the tables have their size
		p := hit(visitor(i), 0, 1)
		events = e.Step(&p, events[:0])
	}
	i := uint32(DefaultMaxSources)
	if n := testing.AllocsPerRun(10000, func() {
		for port := uint16(1); port <= 4; port++ {
			p := hit(visitor(i), time.Second, port)
			events = e.Step(&p, events[:0])
		}
		i++
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func manyDoors(n int) []Door {
	r := rand.New(rand.NewPCG(1, 2))
	doors := make([]Door, n)
	for i := range doors {
		for k := range 3 {
			_ = k
			doors[i].Sequence = append(doors[i].Sequence, packet.Port{Proto: packet.TCP, Number: uint16(1 + r.IntN(65535))})
		}
		doors[i].Timeout = 25 * time.Second
	}
	return doors
}

func BenchmarkNew20000Doors(b *testing.B) {
	doors := manyDoors(20000)
	b.ReportAllocs()
	for b.Loop() {
		New(doors, Options{})
	}
}

// BenchmarkStep shows what one packet costs: the doors are 1 or 20,000, the sources of few or ever new.
func BenchmarkStep(b *testing.B) {
	for _, doors := range []int{1, 20000} {
		for _, bench := range []struct {
			name string
			from func(i uint32) netip.Addr
		}{
			{"KnownSource", func(uint32) netip.Addr { return alice }},
			{"NewSources", visitor},
		} {
			name := bench.name + "/1Door"
			list := []Door{doorOf(25, 1, 2, 3)}
			if doors > 1 {
				name, list = bench.name+"/20000Doors", append(list, manyDoors(doors-1)...)
			}
			b.Run(name, func(b *testing.B) {
				e := engineOf(list...)
				events := make([]Event, 0, 64)
				b.ReportAllocs()
				i := uint32(0)
				for b.Loop() {
					p := hit(bench.from(i), time.Duration(i)*time.Microsecond, 1)
					events = e.Step(&p, events[:0])
					i++
				}
			})
		}
	}
}

func BenchmarkStepOfNoDoor(b *testing.B) {
	e := engineOf(doorOf(25, 1, 2, 3))
	p := hit(alice, 0, 9)
	b.ReportAllocs()
	for b.Loop() {
		e.Step(&p, nil)
	}
}
