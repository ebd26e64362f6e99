package knock

import "slices"

// Adopt takes over the knocks in flight of an engine that a reload replaces. mapping gives, for each of its doors, the
// index of the one here that is the same in everything, -1 for none. The receiver has seen no packet yet.
func (e *Engine) Adopt(old *Engine, mapping []int) {
	e.evicted, e.counted = old.evicted, old.counted
	e.adoptStrangers(old, mapping)
	old.sources.each(func(s uint32) { e.adoptSource(old, old.sources.at(s), mapping) })
}

// adoptStrangers keeps the order of every queue, so that each stranger finds its place at the end of one.
func (e *Engine) adoptStrangers(old *Engine, mapping []int) {
	translated := make([]uint32, len(old.strangers.all))
	for i := range translated {
		if there := &old.strangers.all[i]; there.strangers > 0 {
			translated[i] = e.translate(there, mapping)
		}
	}
	for i := range old.strangers.queues {
		old.strangers.each(&old.strangers.queues[i], func(s *stranger) {
			if signature := translated[s.signature]; signature != 0 && e.strangers.accepts(signature, s.began) {
				e.admitStranger(&s.key, s.began, signature)
			}
		})
	}
	for _, i := range translated {
		if i != 0 {
			e.strangers.release(i)
		}
	}
}

// translate returns the signature here of what a stranger has begun there, 0 for nothing.
func (e *Engine) translate(there *signature, mapping []int) uint32 {
	var here signature
	for _, door := range there.doors {
		number := mapping[door]
		if number < 0 || len(e.doors[number].Sequence) < 2 || e.doors[number].timeout == mostLists {
			continue
		}
		d := &e.doors[number]
		here.doors = append(here.doors, uint32(number))
		here.destination, here.timeout = d.destination, d.timeout
	}
	if len(here.doors) == 0 {
		return 0
	}
	slices.Sort(here.doors)
	return e.strangers.add(here)
}

// each calls f with the strangers of a queue who are not gone, in order.
func (t *strangers) each(q *queue, f func(*stranger)) {
	i := q.head
	for range q.length {
		if s := t.at(i); s.signature != 0 {
			f(s)
		}
		if i++; i&(chunkSize-1) == 0 {
			i = t.following[(i-1)>>chunkBits] << chunkBits
		}
	}
}

func (e *Engine) adoptSource(old *Engine, there *source, mapping []int) {
	var s uint32
	for i := there.first; i != 0; i = old.alignments.at(i).next {
		a := *old.alignments.at(i)
		number := mapping[a.door]
		if number < 0 || int(a.stage) >= len(e.doors[number].Sequence) {
			continue
		}
		if s == 0 {
			e.makeRoom()
			s = e.sources.insert(&there.key, e.doors[number].destination, there.last)
		}
		a.source, a.door = s, uint32(number)
		e.makeAlignmentRoom()
		e.place(s, a)
	}
	if s != 0 {
		e.finish(s)
	}
}

// place enters an alignment in the order of doors and stages.
func (e *Engine) place(s uint32, a alignment) {
	link := &e.sources.at(s).first
	for *link != 0 {
		b := e.alignments.at(*link)
		if b.door > a.door || b.door == a.door && b.stage > a.stage {
			break
		}
		link = &b.next
	}
	e.enter(link, a)
}
