package knock

import (
	"math"
	"time"
)

// deadlines orders alignments by the time of their death. Those of one timeout die in the order they began, so that a list
// for each timeout does, at constant cost; one that begins in the past (its packet was held back) and those of rare
// timeouts are in a heap. Strangers have queues of their own.
type deadlines struct {
	timeouts []time.Duration
	lists    []ageList
	heap     []uint32
}

type ageList struct{ first, last uint32 }

// mostLists bounds the timeouts that have a list, since the earliest death is looked for in all of them.
const mostLists = 32

// class returns the number of a timeout, mostLists for one that has no list.
func (d *deadlines) class(timeout time.Duration) uint32 {
	for i, t := range d.timeouts {
		if t == timeout {
			return uint32(i)
		}
	}
	if len(d.timeouts) < mostLists {
		d.timeouts = append(d.timeouts, timeout)
		d.lists = append(d.lists, ageList{})
		return uint32(len(d.timeouts) - 1)
	}
	return mostLists
}

// after returns when something that began dies.
func after(began, timeout time.Duration) time.Duration {
	if timeout > 0 && began > math.MaxInt64-timeout {
		return math.MaxInt64
	}
	return began + timeout
}

// deadline is when an alignment is dead.
func (e *Engine) deadline(a *alignment) time.Duration { return after(a.began, e.doors[a.door].Timeout) }

// strangersDeadline is when the alignments of a stranger are dead.
func (e *Engine) strangersDeadline(s *stranger) time.Duration {
	return after(s.began, e.deadlines.timeouts[e.strangers.all[s.signature].timeout])
}

func (d *deadlines) bytes() int { return 4 * cap(d.heap) }

// watch enters an alignment.
func (e *Engine) watch(i uint32) {
	a := e.alignments.at(i)
	a.before, a.after, a.inHeap = 0, 0, false
	class := e.doors[a.door].timeout
	if class == mostLists {
		e.pushHeap(i)
		return
	}
	l := &e.deadlines.lists[class]
	switch {
	case l.last == 0:
		l.first = i
	case e.alignments.at(l.last).began <= a.began:
		a.before = l.last
		e.alignments.at(l.last).after = i
	default:
		e.pushHeap(i)
		return
	}
	l.last = i
}

// unwatch takes an alignment out.
func (e *Engine) unwatch(i uint32) {
	a := e.alignments.at(i)
	if a.inHeap {
		e.removeFromHeap(int(a.before))
		return
	}
	l := &e.deadlines.lists[e.doors[a.door].timeout]
	if a.before != 0 {
		e.alignments.at(a.before).after = a.after
	} else {
		l.first = a.after
	}
	if a.after != 0 {
		e.alignments.at(a.after).before = a.before
	} else {
		l.last = a.before
	}
}

// oldest returns the alignment that dies first, 0 if there is none, and when.
func (e *Engine) oldest() (first uint32, at time.Duration) {
	for _, l := range e.deadlines.lists {
		if l.first == 0 {
			continue
		}
		if dies := e.deadline(e.alignments.at(l.first)); first == 0 || dies < at {
			first, at = l.first, dies
		}
	}
	if len(e.deadlines.heap) == 0 {
		return first, at
	}
	top := e.deadlines.heap[0]
	if dies := e.deadline(e.alignments.at(top)); first == 0 || dies < at {
		return top, dies
	}
	return first, at
}

// oldestStranger returns the stranger that dies first, 0 if there is none, and when.
func (e *Engine) oldestStranger() (first uint32, at time.Duration) {
	for i := range e.deadlines.timeouts {
		q := &e.strangers.queues[i]
		if q.length == 0 {
			continue
		}
		if dies := e.strangersDeadline(e.strangers.at(q.head)); first == 0 || dies < at {
			first, at = q.head, dies
		}
	}
	return first, at
}
