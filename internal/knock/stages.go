package knock

// mostPorts is the length of the longest sequence.
const mostPorts = 32

// stages are the sources by the highest stage of their alignments, in lists that begin with the one that has been quiet
// for longest.
type stages struct {
	table *chunks[source]
	lists [mostPorts + 1]stageList
}

type stageList struct {
	first, last uint32
	length      int
}

// enlist puts a source at the end of the list of a stage.
func (t *stages) enlist(i uint32, stage uint8) {
	t.unlist(i)
	s, l := t.table.at(i), &t.lists[stage]
	s.stage, s.before, s.after = stage, l.last, 0
	if l.last != 0 {
		t.table.at(l.last).after = i
	} else {
		l.first = i
	}
	l.last = i
	l.length++
}

func (t *stages) unlist(i uint32) {
	s := t.table.at(i)
	if s.stage == 0 {
		return
	}
	l := &t.lists[s.stage]
	if s.before != 0 {
		t.table.at(s.before).after = s.after
	} else {
		l.first = s.after
	}
	if s.after != 0 {
		t.table.at(s.after).before = s.before
	} else {
		l.last = s.before
	}
	l.length--
	s.stage = 0
}

// victim is the source to drop when the table is full: of the lowest stage, the one that has been quiet for longest. It is
// 0 if no source is in a list.
func (t *stages) victim() uint32 {
	for stage := range t.lists {
		if i := t.lists[stage].first; i != 0 {
			return i
		}
	}
	return 0
}

// each calls f with every source, stage by stage; f may drop the one that it is given.
func (t *stages) each(f func(uint32)) {
	for stage := range t.lists {
		for i := t.lists[stage].first; i != 0; {
			after := t.table.at(i).after
			f(i)
			i = after
		}
	}
}
