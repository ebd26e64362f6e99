package knock

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

// TestWithoutRoomNothingOpensButByItsSequence shows random packets of many sources to engines with room for few: what
// they open is what an oracle opens that forgets nothing, not even at an opening.
func TestWithoutRoomNothingOpensButByItsSequence(t *testing.T) {
	for seed := range uint64(500 / slower) {
		w := newWorld(seed)
		own := []netip.Addr{server}
		options := Options{MaxSources: 1 + w.IntN(8)}
		e, o := New(w.doors, options), newOracle(w.doors, own)
		e.SetOwn(own)
		o.generous = true
		now := 10 * time.Second
		for i := range 300 {
			now += time.Duration(w.IntN(300)) * time.Millisecond
			p := w.packet(now)
			p.Time, p.Src = now, visitor(uint32(w.IntN(6)))
			want := o.step(p)
			for _, event := range e.Step(&p, nil) {
				if event.Kind == Opened && !slices.Contains(want, event) {
					t.Fatalf("seed %d, packet %d: %v opened, the oracle says %v", seed, i, event, want)
				}
			}
			e = w.change(e, o, options)
			consistent(t, e)
			if t.Failed() {
				t.Fatalf("seed %d, packet %d", seed, i)
			}
		}
	}
}

// consistent checks that the tables agree with each other.
func consistent(t *testing.T, e *Engine) {
	t.Helper()
	sources, alignments := 0, 0
	for stage := range e.sources.lists {
		length, before := 0, uint32(0)
		for i := e.sources.lists[stage].first; i != 0; i = e.sources.at(i).after {
			s := e.sources.at(i)
			if int(s.stage) != stage || e.highest(i) != s.stage || s.before != before || e.sources.find(&s.key, s.destination) != i {
				t.Errorf("source %d in the list of stage %d: %+v", i, stage, *s)
			}
			alignments += e.consistentAlignments(t, i)
			length, before = length+1, i
		}
		if l := e.sources.lists[stage]; l.length != length || l.last != before {
			t.Errorf("stage %d: %d listed, %+v", stage, length, l)
		}
		sources += length
	}
	if sources != e.sources.count || alignments != e.alignments.count || sources > e.sources.max {
		t.Errorf("%d sources, %d alignments, counted %d, %d", sources, alignments, e.sources.count, e.alignments.count)
	}
	watched := len(e.deadlines.heap)
	for _, l := range e.deadlines.lists {
		for i := l.first; i != 0; i = e.alignments.at(i).after {
			watched++
		}
	}
	if watched != alignments {
		t.Errorf("%d of %d alignments have a deadline", watched, alignments)
	}
	consistentStrangers(t, e)
}

// consistentAlignments checks a source's alignments and returns how many there are.
func (e *Engine) consistentAlignments(t *testing.T, s uint32) (n int) {
	t.Helper()
	var last *alignment
	for i := e.sources.at(s).first; i != 0; i = e.alignments.at(i).next {
		a := e.alignments.at(i)
		d := &e.doors[a.door]
		if a.source != s || a.stage < 1 || int(a.stage) >= len(d.Sequence) || d.destination != e.sources.at(s).destination {
			t.Errorf("alignment %d: %+v", i, *a)
		}
		if last != nil && (a.door < last.door || a.door == last.door && (a.stage <= last.stage || a.began > last.began || a.died != last.died)) {
			t.Errorf("alignments %+v, %+v", *last, *a)
		}
		last = a
		n++
	}
	return n
}

func consistentStrangers(t *testing.T, e *Engine) {
	t.Helper()
	length, count := 0, 0
	having := make([]int, len(e.strangers.all))
	for i := range e.strangers.queues {
		q := &e.strangers.queues[i]
		length += q.length
		newest := time.Duration(0)
		e.strangers.each(q, func(s *stranger) {
			sig := &e.strangers.all[s.signature]
			if s.began < newest || int(sig.timeout) != i || e.strangers.find(&s.key, sig.destination) == 0 {
				t.Errorf("stranger %+v in queue %d", *s, i)
			}
			newest = s.began
			having[s.signature]++
			count++
		})
	}
	if length != e.strangers.length || count != e.strangers.count || length > e.strangers.max {
		t.Errorf("%d strangers in %d places, counted %d, %d", count, length, e.strangers.count, e.strangers.length)
	}
	for i, n := range having {
		if e.strangers.all[i].strangers != n {
			t.Errorf("signature %d: %d have it, counted %d", i, n, e.strangers.all[i].strangers)
		}
	}
}
