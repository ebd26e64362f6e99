package knock

// makeRoom drops a source if another would be one too many. Those that are in the hands of Step are in no list, and safe.
func (e *Engine) makeRoom() {
	if e.sources.count < e.sources.max {
		return
	}
	if i := e.sources.victim(); i != 0 {
		e.dropSource(i)
	}
}

// makeAlignmentRoom bounds the memory of alignments, of which a source may have one for each door that begins with the
// same port. A single source may have as many as there are, all the same.
func (e *Engine) makeAlignmentRoom() {
	for e.alignments.count >= e.sources.max+e.sources.max/2 {
		i := e.sources.victim()
		if i == 0 {
			return
		}
		e.dropSource(i)
	}
}

// finish puts a source behind the others of its stage, and drops the first of them if they are more than half. One with no
// knock in flight is dropped without being counted.
func (e *Engine) finish(s uint32) {
	stage := e.highest(s)
	if stage == 0 {
		e.sources.drop(s)
		return
	}
	e.sources.enlist(s, stage)
	if l := &e.sources.lists[stage]; l.length > max(1, e.sources.max/2) {
		e.dropSource(l.first)
	}
}

// settle is finish for a source that has shown no packet: it keeps its place unless its stage has changed.
func (e *Engine) settle(s uint32) {
	switch stage := e.highest(s); stage {
	case 0:
		e.sources.drop(s)
	case e.sources.at(s).stage:
	default:
		e.sources.enlist(s, stage)
	}
}

// highest returns the highest stage of a source's alignments, 0 if it has none.
func (e *Engine) highest(s uint32) uint8 {
	var stage uint8
	for i := e.sources.at(s).first; i != 0; {
		a := e.alignments.at(i)
		stage = max(stage, a.stage)
		i = a.next
	}
	return stage
}

// dropSource drops a source with its alignments, for want of room.
func (e *Engine) dropSource(s uint32) {
	e.evicted++
	for link := &e.sources.at(s).first; *link != 0; {
		e.unlink(link)
	}
	e.sources.drop(s)
}
