package knock

import (
	"cmp"
	"slices"
	"time"

	"knockd/internal/packet"
)

// view is a packet as the doors of one destination see it. A packet to an own address that is also a Target has two.
type view struct {
	destination uint32
	// info is what the port means; nil: no door of the destination lists it.
	info *portInfo
	// source is where the sender's knocks in flight are, 0 if it has none.
	source uint32
	// from and to enclose the doors in touched that the packet advanced or opened.
	from, to int
}

// touched is what one packet did at one door.
type touched struct {
	door   uint32
	stage  uint8
	opened bool
	// silent: only an alignment that is not to be spoken of was begun.
	silent bool
}

// inherited is what an alignment that a packet ended knew of others that had died before; one that the packet begins at
// the same door knows it too.
type inherited struct {
	door uint32
	died uint8
}

// Step shows the engine a packet, and appends what it did: deaths of age that it came too late for, then, in the order of
// the doors, stages and openings. It allocates nothing if events has room and the tables have their size.
func (e *Engine) Step(p *packet.Packet, events []Event) []Event {
	if !e.decoys && !e.index.mentions(p.Port) || !real(p) {
		return events
	}
	views := e.look(p)
	listed, counts := false, false
	for i := range views {
		if info := views[i].info; info != nil {
			listed = true
			counts = counts || e.counts(info, p)
		}
	}
	k := key(p.Src.As16())
	switch {
	case counts:
		return e.count(p, &k, views, events)
	case !listed && e.decoys && (p.Port.Proto != packet.TCP || p.Flags.OpensConnection()):
		return e.touchDecoy(p, &k, views, events)
	default:
		return events
	}
}

// look returns the views of a packet.
func (e *Engine) look(p *packet.Packet) []view {
	views := e.views[:0]
	if _, own := e.own[p.Dst]; own {
		views = append(views, view{destination: ours, info: e.index.find(ours, p.Port)})
	}
	if len(e.index.targets) == 0 {
		return views
	}
	if d, ok := e.index.targets[p.Dst]; ok {
		views = append(views, view{destination: d, info: e.index.find(d, p.Port)})
	}
	return views
}

// count applies the rule to a packet that counts.
func (e *Engine) count(p *packet.Packet, k *key, views []view, events []Event) []Event {
	e.counted++
	for i := range views {
		views[i].source = e.find(k, views[i].destination)
	}
	now := e.now(p, views)
	e.touched, e.inherited = e.touched[:0], e.inherited[:0]
	for i := range views {
		v := &views[i]
		v.from = len(e.touched)
		if v.source != 0 {
			events = e.reap(v.source, now, events)
			e.move(p, v.source)
		}
		v.to = len(e.touched)
	}
	for i := range views {
		e.openAtOnce(p, &views[i])
	}
	e.forward = len(e.touched)
	for i := range views {
		e.begin(p, k, &views[i], now)
	}
	return e.report(p, now, events)
}

// find returns a sender's knocks in flight at a destination, 0 if it has none. What it returns is in no list: the caller
// finishes it.
func (e *Engine) find(k *key, destination uint32) uint32 {
	if s := e.sources.find(k, destination); s != 0 {
		e.sources.unlist(s)
		return s
	}
	if i := e.strangers.find(k, destination); i != 0 {
		return e.promote(i)
	}
	return 0
}

// now returns the time of a packet: that of the one before it from the same source, if it says to be older.
func (e *Engine) now(p *packet.Packet, views []view) time.Duration {
	now := p.Time
	for i := range views {
		if s := views[i].source; s != 0 {
			now = max(now, e.sources.at(s).last)
		}
	}
	for i := range views {
		if s := views[i].source; s != 0 {
			e.sources.at(s).last = now
		}
	}
	return now
}

// report appends what a packet did, in the order of the doors.
func (e *Engine) report(p *packet.Packet, now time.Duration, events []Event) []Event {
	if len(e.touched) > 1 {
		slices.SortFunc(e.touched, func(a, b touched) int { return cmp.Compare(a.door, b.door) })
	}
	for _, t := range e.touched {
		if t.silent {
			continue
		}
		kind := Stage
		if t.opened {
			kind = Opened
		}
		events = append(events, Event{Kind: kind, Door: int(t.door), Source: p.Src, Stage: int(t.stage), Time: now})
	}
	return events
}
