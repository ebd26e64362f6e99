package knock

import "time"

// NextDeadline returns when the next alignment dies, false if there is none.
func (e *Engine) NextDeadline() (time.Duration, bool) {
	i, at := e.oldest()
	return at, i != 0
}

// Expire lets every alignment die whose time has come: those whose first packet is Timeout or longer before now. It
// appends an event for each source and door whose last one died.
func (e *Engine) Expire(now time.Duration, events []Event) []Event {
	for {
		i, at := e.oldest()
		if i == 0 || at > now {
			return events
		}
		s := e.alignments.at(i).source
		events = e.die(i, at, events)
		e.settle(s)
	}
}

// die ends an alignment of age. The source is settled by the caller.
func (e *Engine) die(i uint32, at time.Duration, events []Event) []Event {
	a := e.alignments.at(i)
	number, source := a.door, a.source
	stage, quiet := a.stage, a.quiet && a.stage < 2
	if a.died > 0 {
		quiet = quiet && a.quietDied
		stage = max(stage, a.died)
	}
	e.end(i)
	alone := true
	for j := e.sources.at(source).first; j != 0; j = e.alignments.at(j).next {
		if other := e.alignments.at(j); other.door == number {
			other.quietDied = quiet && (other.died == 0 || other.quietDied)
			other.died = max(other.died, stage)
			alone = false
		}
	}
	if !alone || quiet {
		return events
	}
	return append(events, Event{
		Kind: TimedOut, Door: int(number), Source: e.sources.at(source).ip(), Stage: int(stage), Time: at,
	})
}

// end takes an alignment away.
func (e *Engine) end(i uint32) {
	a := e.alignments.at(i)
	link := &e.sources.at(a.source).first
	for *link != i {
		link = &e.alignments.at(*link).next
	}
	*link = a.next
	e.unwatch(i)
	e.alignments.drop(i)
}

// endWhere ends those of a source's alignments that a condition holds for, and settles the source.
func (e *Engine) endWhere(s uint32, holds func(*alignment) bool) {
	link := &e.sources.at(s).first
	for *link != 0 {
		i := *link
		a := e.alignments.at(i)
		if !holds(a) {
			link = &a.next
			continue
		}
		*link = a.next
		e.unwatch(i)
		e.alignments.drop(i)
	}
	e.settle(s)
}

// settle puts a source where its highest stage belongs, or drops one that has no knock in flight any more.
func (e *Engine) settle(s uint32) {
	src := e.sources.at(s)
	if src.first == 0 {
		e.sources.drop(s)
		return
	}
	var stage uint8
	for i := src.first; i != 0; i = e.alignments.at(i).next {
		stage = max(stage, e.alignments.at(i).stage)
	}
	if stage != src.stage {
		e.sources.enlist(s, stage)
	}
}

// dropSource drops a source with its alignments, for want of room.
func (e *Engine) dropSource(s uint32) {
	e.evicted++
	e.endWhere(s, func(*alignment) bool { return true })
}
