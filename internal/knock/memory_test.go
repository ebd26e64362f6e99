package knock

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"knockd/internal/packet"
)

// stranger is the i-th of many addresses.
func stranger(i uint32) netip.Addr {
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
		p := hit(stranger(i), time.Duration(i)*time.Microsecond, 1)
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
		p := hit(stranger(i), 0, 1)
		events = e.Step(&p, events[:0])
	}
	if s := e.Stats(); s.Alignments > 15000 {
		t.Errorf("%+v", s)
	}
}

// TestTheOrderOfSacrifice fills a small table: those that have shown one port go first, and no stage fills it all.
func TestTheOrderOfSacrifice(t *testing.T) {
	const most = 100
	e := New([]Door{doorOf(1000, 1, 2, 3, 4)}, Options{MaxSources: most})
	e.SetOwn([]netip.Addr{server})
	show := func(who uint32, upTo uint16) {
		for port := uint16(1); port <= upTo; port++ {
			p := hit(stranger(who), 0, port)
			e.Step(&p, nil)
		}
	}
	held := func(stage int) int { return e.sources.lists[stage].length }
	for i := range uint32(1000) {
		show(i, 1)
	}
	if held(1) != most/2 {
		t.Errorf("strangers alone hold %d of %d", held(1), most)
	}
	for i := range uint32(1000) {
		show(2000+i, 2)
	}
	if held(2) != most/2 || e.sources.count > most {
		t.Errorf("stage 2 holds %d, all %d", held(2), e.sources.count)
	}
	for i := range uint32(1000) {
		show(4000+i, 3)
	}
	for i := range uint32(1000) {
		show(6000+i, 1)
		show(8000+i, 2)
	}
	if held(3) != most/2 {
		t.Errorf("stage 3 holds %d behind newcomers of lower stages", held(3))
	}
	// The newest of each are there, in order.
	p := hit(stranger(4999), 0, 4)
	if got := tell(e.Step(&p, nil)); got != "0:open" {
		t.Errorf("the last one of stage 3: %q", got)
	}
}

// TestAKnockAmongAttackers shows a right knock, its hits apart by a gap, among sources that show one or two ports of three
// at a rate. What survives is what package documentation promises: half of the table in a gap.
func TestAKnockAmongAttackers(t *testing.T) {
	const rate = 100_000 // packets a second
	for _, known := range []uint16{1, 2} {
		for _, gap := range []time.Duration{50 * time.Millisecond, time.Second} {
			e := engineOf(doorOf(25, 1, 2, 3))
			between := uint32(gap.Seconds()*rate) / uint32(known)
			var now time.Duration
			var got string
			next := uint32(0)
			for port := uint16(1); port <= 3; port++ {
				p := hit(alice, now, port)
				got = tell(e.Step(&p, nil))
				for range between {
					for shown := uint16(1); shown <= known; shown++ {
						now += time.Second / rate
						q := hit(stranger(next), now, shown)
						e.Step(&q, nil)
					}
					next++
				}
			}
			if got != "0:open" {
				t.Errorf("%d ports known, gap %v: %q", known, gap, got)
			}
		}
	}
}

func TestStepAllocatesNothing(t *testing.T) {
	e := engineOf(doorOf(25, 1, 2, 3), doorOf(25, 1, 5, 6))
	e.decoys = true
	events := make([]Event, 0, 16)
	for i := range uint32(DefaultMaxSources) { // the tables have their size
		p := hit(stranger(i), 0, 1)
		events = e.Step(&p, events[:0])
	}
	i := uint32(DefaultMaxSources)
	if n := testing.AllocsPerRun(10000, func() {
		for port := uint16(1); port <= 4; port++ {
			p := hit(stranger(i), time.Second, port)
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
			{"NewSources", stranger},
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
