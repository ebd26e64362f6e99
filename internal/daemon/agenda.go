package daemon

import (
	"container/heap"
	"time"
)

// agenda is what the loop has to do at given times on CLOCK_BOOTTIME.
type agenda struct {
	entries entries
	// count numbers the entries, so that those of one time are done in the order they were made.
	count uint64
}

type entry struct {
	at    time.Duration
	order uint64
	do    func(now time.Duration)
	// index is the entry's place in the heap, -1 once it is done or cancelled.
	index int
}

// at plans do for the given time.
func (a *agenda) at(at time.Duration, do func(now time.Duration)) *entry {
	a.count++
	e := &entry{at: at, order: a.count, do: do}
	heap.Push(&a.entries, e)
	return e
}

// cancel takes an entry back; one that is nil, done or cancelled already is left alone.
func (a *agenda) cancel(e *entry) {
	if e != nil && e.index >= 0 {
		heap.Remove(&a.entries, e.index)
	}
}

// next returns the earliest time.
func (a *agenda) next() (time.Duration, bool) {
	if len(a.entries) == 0 {
		return 0, false
	}
	return a.entries[0].at, true
}

// run does everything that is due.
func (a *agenda) run(now time.Duration) {
	for len(a.entries) > 0 && a.entries[0].at <= now {
		e, _ := heap.Pop(&a.entries).(*entry)
		e.do(now)
	}
}

type entries []*entry

func (e entries) Len() int { return len(e) }

func (e entries) Less(i, j int) bool {
	if e[i].at != e[j].at {
		return e[i].at < e[j].at
	}
	return e[i].order < e[j].order
}

func (e entries) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].index, e[j].index = i, j
}

func (e *entries) Push(x any) {
	item, _ := x.(*entry)
	item.index = len(*e)
	*e = append(*e, item)
}

func (e *entries) Pop() any {
	old := *e
	item := old[len(old)-1]
	old[len(old)-1] = nil
	*e = old[:len(old)-1]
	item.index = -1
	return item
}
