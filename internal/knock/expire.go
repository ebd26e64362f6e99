package knock

import "time"

// NextDeadline returns when the next alignment dies, false if there is none.
func (e *Engine) NextDeadline() (time.Duration, bool) {
	i, at := e.oldest()
	j, other := e.oldestStranger()
	switch {
	case i == 0:
		return other, j != 0
	case j != 0 && other < at:
		return other, true
	default:
		return at, true
	}
}

// mostAtOnce is about how many events Expire appends: after a flood hundreds of thousands may be due.
const mostAtOnce = 4096

// Expire lets every alignment die whose time has come: those whose first packet is Timeout or longer before now. It
// appends an event for each source and door whose last one died, in the order of their deaths.
// When very many are due it leaves some for the next call, and NextDeadline says so.
func (e *Engine) Expire(now time.Duration, events []Event) []Event {
	for enough := len(events) + mostAtOnce; ; {
		if len(events) >= enough {
			return events
		}
		i, at := e.oldest()
		j, other := e.oldestStranger()
		switch {
		case j != 0 && other <= now && (i == 0 || other <= at):
			events = e.expireStranger(j, other, events)
		case i != 0 && at <= now:
			s := e.alignments.at(i).source
			events = e.reap(s, at, events)
			e.settle(s)
		default:
			return events
		}
	}
}

func (e *Engine) expireStranger(i uint32, at time.Duration, events []Event) []Event {
	st := e.strangers.at(i)
	ip := st.key.ip()
	for _, door := range e.strangers.all[st.signature].doors {
		events = append(events, Event{Kind: TimedOut, Door: int(door), Source: ip, Stage: 1, Time: at})
	}
	e.strangers.remove(i)
	return events
}

// reap lets those of a source's alignments die whose time has come, door by door.
func (e *Engine) reap(s uint32, now time.Duration, events []Event) []Event {
	link := &e.sources.at(s).first
	for *link != 0 {
		door, first := e.alignments.at(*link).door, link
		var died deaths
		for *link != 0 && e.alignments.at(*link).door == door {
			a := e.alignments.at(*link)
			if at := e.deadline(a); at <= now {
				died.add(a, at)
				e.unlink(link)
			} else {
				link = &a.next
			}
		}
		if died.stage > 0 && !e.remember(*first, door, died.stage) {
			events = append(events, Event{
				Kind: TimedOut, Door: int(door), Source: e.sources.at(s).key.ip(), Stage: int(died.stage), Time: died.last,
			})
		}
	}
	return events
}

// remember tells the alignments at a door, from a first one on, of those that died. It reports whether there are any.
func (e *Engine) remember(i, door uint32, died uint8) bool {
	any := false
	for i != 0 && e.alignments.at(i).door == door {
		a := e.alignments.at(i)
		a.died = max(a.died, died)
		any, i = true, a.next
	}
	return any
}

// deaths sums up the alignments of a source that died at one door.
type deaths struct {
	// stage is the highest to be spoken of, 0 if there is nothing to say.
	stage uint8
	// last is the time of the latest death.
	last time.Duration
}

func (d *deaths) add(a *alignment, at time.Duration) {
	d.last = max(d.last, at)
	d.stage = max(d.stage, a.died)
	if !a.quiet || a.stage > 1 {
		d.stage = max(d.stage, a.stage)
	}
}
