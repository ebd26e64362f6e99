package knock

import (
	"net/netip"
	"slices"
	"sort"
	"time"

	"knockd/internal/packet"
)

// oracle is the rule as it is written, without a thought for time or memory.
type oracle struct {
	doors   []Door
	own     []netip.Addr
	last    map[oracleStream]time.Duration
	streams map[oracleKey]*packet.Port
	live    map[oracleKey][]way
	died    map[oracleKey]death
	// generous: alignments are not forgotten when the door opens, but for the complete one.
	generous bool
}

// oracleStream is a source at the doors of one destination.
type oracleStream struct {
	target, source netip.Addr
}

type oracleKey struct {
	door   int
	source netip.Addr
}

// way is an alignment.
type way struct {
	stage int
	began time.Duration
	quiet bool
}

type death struct {
	stage int
	quiet bool
}

func newOracle(doors []Door, own []netip.Addr) *oracle {
	return &oracle{
		doors: doors, own: own, last: map[oracleStream]time.Duration{}, streams: map[oracleKey]*packet.Port{},
		live: map[oracleKey][]way{}, died: map[oracleKey]death{},
	}
}

// reaches reports whether a packet goes to a door's destination.
func (o *oracle) reaches(d *Door, p *packet.Packet) bool {
	if d.Target.IsValid() {
		return d.Target == p.Dst
	}
	return slices.Contains(o.own, p.Dst)
}

func (o *oracle) admits(d *Door, p *packet.Packet) bool {
	return o.reaches(d, p) && (p.Port.Proto != packet.TCP || d.Flags.Admits(p.Flags))
}

func (o *oracle) step(p packet.Packet) []Event {
	if !real(&p) {
		return nil
	}
	counted, listed := false, false
	for i := range o.doors {
		if slices.Contains(o.doors[i].Sequence, p.Port) && o.reaches(&o.doors[i], &p) {
			listed = true
			counted = counted || o.admits(&o.doors[i], &p)
		}
	}
	if !counted {
		if listed {
			return nil
		}
		return o.decoy(p)
	}
	now := o.now(p, func(d *Door) bool { return o.reaches(d, &p) })
	events := o.expire(now, func(k oracleKey) bool { return k.source == p.Src && o.reaches(&o.doors[k.door], &p) })
	return append(events, o.apply(p, now)...)
}

// now is the time of a packet, or that of the one before it from its source at these doors' destinations, while it has a
// knock in flight there: nobody else is remembered.
func (o *oracle) now(p packet.Packet, which func(*Door) bool) time.Duration {
	now := p.Time
	for k, ways := range o.live {
		if k.source == p.Src && len(ways) > 0 && which(&o.doors[k.door]) {
			now = max(now, o.last[oracleStream{o.doors[k.door].Target, p.Src}])
		}
	}
	for i := range o.doors {
		if which(&o.doors[i]) {
			o.last[oracleStream{o.doors[i].Target, p.Src}] = now
		}
	}
	return now
}

func (o *oracle) decoy(p packet.Packet) []Event {
	if p.Port.Proto == packet.TCP && !p.Flags.OpensConnection() {
		return nil
	}
	feared := map[netip.Addr]bool{}
	for k, ways := range o.live {
		d := &o.doors[k.door]
		if k.source == p.Src && len(ways) > 0 && o.reaches(d, &p) && d.Decoys != nil && d.Decoys.Contains(p.Port) {
			feared[d.Target] = true
		}
	}
	var events []Event
	for target := range feared {
		of := func(d *Door) bool { return d.Target == target }
		now := o.now(p, of)
		events = append(events, o.expire(now, func(k oracleKey) bool { return k.source == p.Src && of(&o.doors[k.door]) })...)
		for i := range o.doors {
			if d := &o.doors[i]; of(d) && d.Decoys != nil && d.Decoys.Contains(p.Port) {
				o.forget(oracleKey{i, p.Src})
			}
		}
	}
	return events
}

func (o *oracle) forget(k oracleKey) {
	delete(o.live, k)
	delete(o.died, k)
}

// setSequence is what Engine.SetSequence does.
func (o *oracle) setSequence(door int, sequence []packet.Port) {
	o.doors[door].Sequence = sequence
	for k := range o.live {
		if k.door == door {
			o.forget(k)
		}
	}
}

func (o *oracle) apply(p packet.Packet, now time.Duration) []Event {
	reached := map[int]int{}
	forward := map[int]bool{}
	opened := map[int]bool{}
	for i := range o.doors {
		d, k := &o.doors[i], oracleKey{i, p.Src}
		if !o.admits(d, &p) {
			continue
		}
		var kept []way
		before := o.streams[k]
		repeat := before != nil && *before == p.Port
		port := p.Port
		o.streams[k] = &port
		for _, w := range o.live[k] {
			switch {
			case d.Sequence[w.stage] == p.Port:
				w.stage++
				reached[i] = max(reached[i], w.stage)
				forward[i] = true
				opened[i] = opened[i] || w.stage == len(d.Sequence)
				kept = append(kept, w)
			case repeat:
				kept = append(kept, w)
			}
		}
		if len(d.Sequence) == 1 && d.Sequence[0] == p.Port {
			reached[i], forward[i], opened[i] = 1, true, true
		}
		o.live[k] = kept
	}
	return o.beginAll(p, now, reached, forward, opened)
}

func (o *oracle) beginAll(p packet.Packet, now time.Duration, reached map[int]int, forward, opened map[int]bool) []Event {
	silent := map[int]bool{}
	for i := range o.doors {
		d, k := &o.doors[i], oracleKey{i, p.Src}
		if !o.admits(d, &p) {
			continue
		}
		if opened[i] && !o.generous {
			o.forget(k)
			continue
		}
		o.live[k] = slices.DeleteFunc(o.live[k], func(w way) bool { return w.stage == len(d.Sequence) })
		if len(d.Sequence) > 1 && d.Sequence[0] == p.Port {
			quiet := len(forward) > 1 || len(forward) == 1 && !forward[i]
			o.live[k] = append(o.live[k], way{stage: 1, began: now, quiet: quiet})
			if reached[i] == 0 {
				reached[i], silent[i] = 1, quiet
			}
		}
		o.live[k] = latest(o.live[k])
		if len(o.live[k]) == 0 {
			delete(o.live, k)
			delete(o.died, k)
		}
	}
	var events []Event
	for i := range o.doors {
		if reached[i] == 0 || silent[i] {
			continue
		}
		kind := Stage
		if opened[i] {
			kind = Opened
		}
		events = append(events, Event{Kind: kind, Door: i, Source: p.Src, Stage: reached[i], Time: now})
	}
	return events
}

// latest keeps, of the ways at one stage, the one that began last.
func latest(ways []way) []way {
	sort.SliceStable(ways, func(i, j int) bool {
		if ways[i].stage != ways[j].stage {
			return ways[i].stage < ways[j].stage
		}
		return ways[i].began < ways[j].began
	})
	var kept []way
	for i, w := range ways {
		if i+1 < len(ways) && ways[i+1].stage == w.stage {
			continue
		}
		kept = append(kept, w)
	}
	return kept
}

func (o *oracle) expire(now time.Duration, which func(oracleKey) bool) []Event {
	var events []Event
	for {
		var dying *oracleKey
		var at time.Duration
		index := 0
		for k, ways := range o.live {
			if !which(k) {
				continue
			}
			for i, w := range ways {
				if dies := w.began + o.doors[k.door].Timeout; dies <= now && (dying == nil || dies < at) {
					dying, at, index = &k, dies, i
				}
			}
		}
		if dying == nil {
			return events
		}
		k := *dying
		w := o.live[k][index]
		d, was := o.died[k]
		quiet := w.quiet && w.stage < 2
		if was {
			quiet = quiet && d.quiet
		}
		o.died[k] = death{max(d.stage, w.stage), quiet}
		o.live[k] = slices.Delete(o.live[k], index, index+1)
		if len(o.live[k]) > 0 {
			continue
		}
		if !quiet {
			events = append(events, Event{Kind: TimedOut, Door: k.door, Source: k.source, Stage: o.died[k].stage, Time: at})
		}
		delete(o.live, k)
		delete(o.died, k)
	}
}
