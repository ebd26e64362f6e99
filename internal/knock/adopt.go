package knock

// Adopt takes over the knocks in flight of an engine that a reload replaces. mapping gives, for each of its doors, the
// index of the one here that is the same in everything, -1 for none.
func (e *Engine) Adopt(old *Engine, mapping []int) {
	for _, s := range old.sources.all() {
		e.adoptSource(old, old.sources.at(s), mapping)
	}
	e.evicted, e.counted = old.evicted, old.counted
}

func (e *Engine) adoptSource(old *Engine, src *source, mapping []int) {
	var s uint32
	for i := src.first; i != 0; i = old.alignments.at(i).next {
		a := *old.alignments.at(i)
		number := mapping[a.door]
		if number < 0 || int(a.stage) >= len(e.doors[number].Sequence) {
			continue
		}
		if s == 0 {
			e.makeRoom()
			s = e.sources.insert(src.ip(), src.last)
		}
		a.source, a.door = s, uint32(number)
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
	a.next = *link
	i := e.alignments.insert(a)
	*link = i
	e.watch(i)
}
