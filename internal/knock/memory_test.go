package knock

import (
	"encoding/binary"
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

// flood shows an engine the first port, from ever new sources.
func flood(e *Engine, sources uint32, gap time.Duration) {
	var events []Event
	for i := range sources {
		p := hit(visitor(i), time.Duration(i)*gap, 1)
		events = e.Step(&p, events[:0])
	}
}

// expireAll lets everything die, and counts the events.
func expireAll(t *testing.T, e *Engine) int {
	t.Helper()
	var events []Event
	n := 0
	for {
		if _, more := e.NextDeadline(); !more {
			break
		}
		events = e.Expire(time.Hour, events[:0])
		if n += len(events); len(events) > mostAtOnce {
			t.Errorf("%d events at once", len(events))
		}
	}
	if s := e.Stats(); s.Sources != 0 || s.Alignments != 0 {
		t.Errorf("left: %+v", s)
	}
	return n
}

func TestMemoryIsBounded(t *testing.T) {
	for _, test := range []struct {
		most, sources, bytes int
	}{
		{DefaultMaxSources, 1_000_000 / slower, 20 << 20},
		{1 << 15, 10_000_000 / slower, 2 << 20},
	} {
		if testing.Short() {
			test.sources /= 10
		}
		e := New([]Door{doorOf(25, 1, 2, 3)}, Options{MaxSources: test.most})
		e.SetOwn([]netip.Addr{server})
		flood(e, uint32(test.sources), time.Microsecond)
		s := e.Stats()
		if s.Sources != min(test.sources, test.most/2) || s.Bytes > test.bytes {
			t.Errorf("after %d sources: %+v", test.sources, s)
		}
		if s.Evicted != uint64(test.sources-s.Sources) {
			t.Errorf("%d evicted, %d left of %d", s.Evicted, s.Sources, test.sources)
		}
		if n := expireAll(t, e); n != s.Sources {
			t.Errorf("%d of %d timed out", n, s.Sources)
		}
		if now := e.Stats(); now.Bytes > s.Bytes {
			t.Errorf("%d bytes have become %d", s.Bytes, now.Bytes)
		}
	}
}

// TestManyDoorsOfOneFirstPort: a source may begin at all of them, and costs no more memory than at one until it goes on.
func TestManyDoorsOfOneFirstPort(t *testing.T) {
	var doors []Door
	for i := range uint16(500) {
		doors = append(doors, doorOf(25, 1, 1000+i, 2))
	}
	e := New(doors, Options{MaxSources: 10000})
	e.SetOwn([]netip.Addr{server})
	flood(e, 2000, 0)
	if s := e.Stats(); s.Sources != 2000 || s.Evicted != 0 {
		t.Errorf("%+v", s)
	}
	var events []Event
	for i := range uint32(2000) { // repeats make sources of them, with 500 alignments each
		p := hit(visitor(i), 0, 1)
		events = e.Step(&p, events[:0])
	}
	if s := e.Stats(); s.Alignments > 7500+500 {
		t.Errorf("%+v", s)
	}
	for _, port := range []uint16{1234, 2} {
		p := hit(visitor(1999), time.Second, port)
		events = e.Step(&p, events[:0])
	}
	if got := tell(events); got != "234:open" {
		t.Error(got)
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
	for who, port := range map[uint32]uint16{4999: 4, 4960: 4, 6019: 5, 6000: 5, 2999: 3, 2980: 3, 8999: 2, 8900: 2} {
		p := hit(visitor(who), 0, port)
		if len(e.Step(&p, nil)) != 1 {
			t.Errorf("%d, one of the latest, is forgotten", who)
		}
	}
	for who, port := range map[uint32]uint16{4949: 4, 2960: 3, 8899: 2} {
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
		"one port known":              {[]uint16{1}, 390_000 / slower},
		"one port known, shown twice": {[]uint16{1, 1}, 390_000 / slower},
		"two ports known":             {[]uint16{1, 2}, 390_000 / slower},
		"two ports known, mixed":      {[]uint16{1, 2, 1}, 390_000 / slower},
		"a scan":                      {[]uint16{1, 3}, 390_000 / slower},
	} {
		for _, gap := range []time.Duration{50 * time.Millisecond, time.Second} {
			t.Run(name+", "+gap.String(), func(t *testing.T) {
				e := New([]Door{doorOf(25, 1, 2, 3)}, Options{MaxSources: DefaultMaxSources / slower})
				e.SetOwn([]netip.Addr{server})
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
	fearful := doorOf(25, 1, 5, 6)
	fearful.Decoys = portSet{{Proto: packet.TCP, Number: 7}: true}
	targeted := doorOf(25, 1, 8)
	targeted.Target = server
	e := New([]Door{doorOf(25, 1, 2, 3), fearful, targeted, doorOf(10, 8, 9)}, Options{MaxSources: 20000})
	e.SetOwn([]netip.Addr{server})
	events := make([]Event, 0, 64)
	i := uint32(0)
	once := func() {
		for _, port := range []uint16{1, 2, 3, 1, 5, 7, 8, 9, 4, 1, 1} {
			p := hit(visitor(i), time.Duration(i)*time.Millisecond, port)
			events = e.Step(&p, events[:0])
		}
		events = e.Expire(time.Duration(i)*time.Millisecond, events[:0])
		i++
	}
	for range 30000 { // the tables have their size
		once()
	}
	if n := testing.AllocsPerRun(10000, once); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
