package knock

import (
	"slices"
	"time"

	"knockd/internal/packet"
)

// Step shows the engine a packet, and appends what it did: deaths of age that it came too late for, then, in the order of
// the doors, stages and openings. It allocates nothing if events has room.
func (e *Engine) Step(p *packet.Packet, events []Event) []Event {
	if !real(p) {
		return events
	}
	info := e.index.find(p.Port)
	if info == nil {
		e.touchDecoy(p)
		return events
	}
	if !e.counts(info, p) {
		return events
	}
	e.counted++
	now := p.Time
	s := e.sources.find(p.Src)
	if s != 0 {
		src := e.sources.at(s)
		now = max(now, src.last)
		src.last = now
		events, s = e.bury(s, now, events)
	}
	var one [1]uint32
	return e.advance(p, s, now, info.starters(&one), events)
}

// touchDecoy ends the knocks of a source at doors that have a decoy at the packet's port.
func (e *Engine) touchDecoy(p *packet.Packet) {
	if !e.decoys || p.Port.Proto == packet.TCP && !p.Flags.OpensConnection() {
		return
	}
	s := e.sources.find(p.Src)
	if s == 0 {
		return
	}
	if _, ours := e.own[p.Dst]; !ours {
		return
	}
	e.endWhere(s, func(a *alignment) bool {
		decoys := e.doors[a.door].Decoys
		return decoys != nil && decoys.Contains(p.Port)
	})
}

// bury lets those of a source's alignments die that a packet came too late for. It returns 0 for a source that is gone.
func (e *Engine) bury(s uint32, now time.Duration, events []Event) ([]Event, uint32) {
	for {
		var dead uint32
		for i := e.sources.at(s).first; i != 0; i = e.alignments.at(i).next {
			a := e.alignments.at(i)
			if e.deadline(a) <= now && (dead == 0 || e.deadline(a) < e.deadline(e.alignments.at(dead))) {
				dead = i
			}
		}
		if dead == 0 {
			return events, s
		}
		events = e.die(dead, e.deadline(e.alignments.at(dead)), events)
		if e.sources.at(s).first == 0 {
			e.sources.drop(s)
			return events, 0
		}
	}
}

// advance applies the rule to a counted packet. starters are the doors, plus 1, whose sequence begins with it.
func (e *Engine) advance(p *packet.Packet, s uint32, now time.Duration, starters []uint32, events []Event) []Event {
	e.touched = e.touched[:0]
	if s != 0 {
		e.move(p, s)
	}
	moved := len(e.touched)
	for _, starter := range starters {
		if number := starter - 1; len(e.doors[number].Sequence) == 1 && e.admits(e.doors[number].class, p) {
			e.touched = append(e.touched, touched{door: number, stage: 1, opened: true})
		}
	}
	forward := e.touched
	for _, starter := range starters {
		if number := starter - 1; len(e.doors[number].Sequence) > 1 && e.admits(e.doors[number].class, p) {
			s = e.begin(p, s, number, now, quiet(forward, number), moved)
		}
	}
	if s != 0 {
		e.finish(s)
	}
	return e.report(p, now, events)
}

// quiet reports whether a packet advanced or opened another door than this.
func quiet(forward []touched, number uint32) bool {
	return slices.ContainsFunc(forward, func(t touched) bool { return t.door != number })
}

// move advances or ends the alignments of a source.
func (e *Engine) move(p *packet.Packet, s uint32) {
	link := &e.sources.at(s).first
	for *link != 0 {
		i := *link
		a := e.alignments.at(i)
		d := &e.doors[a.door]
		if !e.admits(d.class, p) {
			link = &a.next
			continue
		}
		repeat := a.last == p.Port
		a.last = p.Port
		switch {
		case d.Sequence[a.stage] == p.Port:
			a.stage++
			e.touch(a.door, a.stage, int(a.stage) == len(d.Sequence))
			link = &a.next
		case repeat:
			link = &a.next
		default:
			*link = a.next
			e.unwatch(i)
			e.alignments.drop(i)
		}
	}
	e.tidy(s)
}

// touch notes what a packet did at a door: the highest stage counts.
func (e *Engine) touch(number uint32, stage uint8, opened bool) {
	if last := len(e.touched) - 1; last >= 0 && e.touched[last].door == number {
		t := &e.touched[last]
		t.stage, t.opened = max(t.stage, stage), t.opened || opened
		return
	}
	e.touched = append(e.touched, touched{door: number, stage: stage, opened: opened})
}

// tidy ends alignments of doors that opened, and of two at one stage the one that began earlier. They stand in the order of
// stages still: one that advanced can only have caught up with the next.
func (e *Engine) tidy(s uint32) {
	link := &e.sources.at(s).first
	for *link != 0 {
		i := *link
		a := e.alignments.at(i)
		drop := e.hasOpened(a.door)
		if next := a.next; !drop && next != 0 {
			if b := e.alignments.at(next); b.door == a.door && b.stage == a.stage {
				drop = b.began >= a.began
				if !drop { // the one behind goes
					b.began, b.last, b.quiet = a.began, a.last, a.quiet
					e.unwatch(next)
					e.watch(next)
					drop = true
				}
				b.died = max(b.died, a.died)
			}
		}
		if !drop {
			link = &a.next
			continue
		}
		*link = a.next
		e.unwatch(i)
		e.alignments.drop(i)
	}
}

func (e *Engine) hasOpened(number uint32) bool {
	return slices.ContainsFunc(e.touched, func(t touched) bool { return t.door == number && t.opened })
}

// begin starts an alignment at stage 1; one that is there at that stage began earlier, and gives way.
func (e *Engine) begin(p *packet.Packet, s, number uint32, now time.Duration, quiet bool, moved int) uint32 {
	if e.hasOpened(number) {
		return s // the packet that opens a door begins no knock at it: its alignments are forgotten
	}
	if s == 0 {
		e.makeRoom()
		s = e.sources.insert(p.Src, now)
	}
	link := &e.sources.at(s).first
	for *link != 0 && e.alignments.at(*link).door < number {
		link = &e.alignments.at(*link).next
	}
	if i := *link; i != 0 && e.alignments.at(i).door == number && e.alignments.at(i).stage == 1 {
		e.restart(i, now, p.Port, quiet)
	} else {
		e.makeAlignmentRoom(s)
		link = e.linkTo(s, number) // making room may have moved nothing of ours, but is not to be relied on
		i := e.alignments.insert(alignment{began: now, next: *link, source: s, door: number, last: p.Port, stage: 1, quiet: quiet})
		*link = i
		e.watch(i)
	}
	e.touchBegun(number, quiet, moved)
	return s
}

func (e *Engine) linkTo(s, number uint32) *uint32 {
	link := &e.sources.at(s).first
	for *link != 0 && e.alignments.at(*link).door < number {
		link = &e.alignments.at(*link).next
	}
	return link
}

func (e *Engine) restart(i uint32, now time.Duration, port packet.Port, quiet bool) {
	a := e.alignments.at(i)
	e.unwatch(i)
	a.began, a.last, a.quiet = now, port, quiet
	e.watch(i)
}

// touchBegun notes a beginning, unless the door advanced by the same packet: that is the higher stage.
func (e *Engine) touchBegun(number uint32, quiet bool, moved int) {
	if slices.ContainsFunc(e.touched[:moved], func(t touched) bool { return t.door == number }) {
		return
	}
	e.touched = append(e.touched, touched{door: number, stage: 1, silent: quiet})
}

// makeRoom drops a source if another would be too many: in the table, or of those that have shown a first port only.
func (e *Engine) makeRoom() {
	switch {
	case e.sources.lists[1].length >= (e.sources.max+1)/2:
		e.dropSource(e.sources.lists[1].first)
	case e.sources.count >= e.sources.max:
		if victim := e.sources.victim(0); victim != 0 {
			e.dropSource(victim)
		}
	}
}

// makeAlignmentRoom bounds the memory of alignments, of which a source may have one for each door.
func (e *Engine) makeAlignmentRoom(keep uint32) {
	for e.alignments.count >= e.sources.max+e.sources.max/2 {
		victim := e.sources.victim(keep)
		if victim == 0 {
			return
		}
		e.dropSource(victim)
	}
}

// finish puts a source behind the others of its stage, and drops one of them if it is too many there.
func (e *Engine) finish(s uint32) {
	src := e.sources.at(s)
	if src.first == 0 {
		e.sources.drop(s)
		return
	}
	var stage uint8
	for i := src.first; i != 0; i = e.alignments.at(i).next {
		stage = max(stage, e.alignments.at(i).stage)
	}
	e.sources.enlist(s, stage)
	if l := &e.sources.lists[stage]; l.length > max(1, (e.sources.max+1)/2) {
		e.dropSource(l.first)
	}
}

// report appends what a packet did, in the order of the doors.
func (e *Engine) report(p *packet.Packet, now time.Duration, events []Event) []Event {
	if len(e.touched) > 1 {
		slices.SortFunc(e.touched, func(a, b touched) int { return int(a.door) - int(b.door) })
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
