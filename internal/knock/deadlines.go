package knock

import "time"

// deadlines orders alignments by the time of their death. Those of one timeout die in the order they began, so that a list
// for each timeout does, at constant cost; one that begins in the past (its packet was held back) and those of rare
// timeouts are in a heap.
type deadlines struct {
	timeouts []time.Duration
	lists    []ageList
	heap     []uint32
}

type ageList struct{ first, last uint32 }

// mostLists bounds the timeouts that have a list, since the earliest death is looked for in all of them.
const mostLists = 32

// class returns the number of a timeout.
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

func (d *deadlines) bytes() int { return 4 * cap(d.heap) }

// watch enters an alignment.
func (e *Engine) watch(i uint32) {
	a := e.alignments.at(i)
	class := e.doors[a.door].timeout
	a.before, a.after, a.place = 0, 0, 0
	if class < mostLists {
		l := &e.deadlines.lists[class]
		if l.last == 0 || e.alignments.at(l.last).began <= a.began {
			a.before = l.last
			if l.last != 0 {
				e.alignments.at(l.last).after = i
			} else {
				l.first = i
			}
			l.last = i
			return
		}
	}
	e.deadlines.heap = append(e.deadlines.heap, i)
	e.siftUp(len(e.deadlines.heap) - 1)
}

// unwatch takes an alignment out.
func (e *Engine) unwatch(i uint32) {
	a := e.alignments.at(i)
	if a.place != 0 {
		e.removeFromHeap(int(a.place) - 1)
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

// oldest returns the alignment that dies first, 0 if there is none.
func (e *Engine) oldest() (uint32, time.Duration) {
	var first uint32
	var at time.Duration
	consider := func(i uint32) {
		if i == 0 {
			return
		}
		if dies := e.deadline(e.alignments.at(i)); first == 0 || dies < at {
			first, at = i, dies
		}
	}
	for _, l := range e.deadlines.lists {
		consider(l.first)
	}
	if len(e.deadlines.heap) > 0 {
		consider(e.deadlines.heap[0])
	}
	return first, at
}

func (e *Engine) diesBefore(i, j uint32) bool {
	return e.deadline(e.alignments.at(i)) < e.deadline(e.alignments.at(j))
}

func (e *Engine) setHeap(place int, i uint32) {
	e.deadlines.heap[place] = i
	e.alignments.at(i).place = uint32(place) + 1
}

func (e *Engine) siftUp(place int) {
	i := e.deadlines.heap[place]
	for place > 0 {
		parent := (place - 1) / 2
		if !e.diesBefore(i, e.deadlines.heap[parent]) {
			break
		}
		e.setHeap(place, e.deadlines.heap[parent])
		place = parent
	}
	e.setHeap(place, i)
}

func (e *Engine) siftDown(place int) {
	heap := e.deadlines.heap
	i := heap[place]
	for {
		child := 2*place + 1
		if child >= len(heap) {
			break
		}
		if child+1 < len(heap) && e.diesBefore(heap[child+1], heap[child]) {
			child++
		}
		if !e.diesBefore(heap[child], i) {
			break
		}
		e.setHeap(place, heap[child])
		place = child
	}
	e.setHeap(place, i)
}

func (e *Engine) removeFromHeap(place int) {
	last := len(e.deadlines.heap) - 1
	moved := e.deadlines.heap[last]
	e.deadlines.heap = e.deadlines.heap[:last]
	if place == last {
		return
	}
	e.setHeap(place, moved)
	e.siftDown(place)
	e.siftUp(int(e.alignments.at(moved).place) - 1)
}
