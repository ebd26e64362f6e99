package journal

import (
	"cmp"
	"crypto/rand"
	"slices"
)

// state is what the records so far come to.
type state struct {
	sequence uint64
	// last is the highest ID so far.
	last uint64
	open map[uint64]Entry
	// apart names a state that was begun where the one in Dir could not be read: its sequence numbers and IDs mean nothing
	// there. took is the last such state that was taken in.
	apart, took string
}

func newState() state { return state{open: map[uint64]Entry{}} }

func newApart() string { return rand.Text() }

func (s *state) apply(r record) {
	s.sequence = max(s.sequence, r.Sequence)
	switch r.Kind {
	case kindHeader:
		s.last = max(s.last, r.Last)
		s.apart, s.took = r.Apart, r.Took
	case kindOpening:
		if r.Entry != nil {
			s.add(*r.Entry)
		}
	case kindStarted:
		if e, ok := s.open[r.ID]; ok {
			e.Started, e.Closes = true, r.Closes
			s.open[r.ID] = e
		}
	case kindClosed:
		delete(s.open, r.ID)
	}
}

func (s *state) add(e Entry) {
	s.open[e.ID] = e
	s.last = max(s.last, e.ID)
}

func (s *state) list() []Entry {
	list := make([]Entry, 0, len(s.open))
	for _, e := range s.open {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b Entry) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// snapshot is a file that says what the state is.
func (s *state) snapshot() []byte {
	s.sequence++
	text := record{
		Kind: kindHeader, Sequence: s.sequence, Version: version, Last: s.last, Apart: s.apart, Took: s.took,
	}.encode(nil)
	for _, e := range s.list() {
		text = record{Kind: kindOpening, Sequence: s.sequence, Entry: &e}.encode(text)
	}
	return text
}

// arrive is called for a state that is about to be written to Dir: what it was apart from is no more.
func (s *state) arrive() {
	if s.apart != "" {
		s.apart, s.took = "", s.apart
	}
}

// merge makes one state of those in Dir and in the fallback. A fallback was begun as a copy of everything, so that
// whichever was written last is whole; or apart, so that what is open is what either of them says, once.
func merge(main, second state) state {
	switch {
	case second.apart != "" && second.apart != main.took && main.sequence > 0:
		return union(main, second)
	case second.apart != "" && second.apart == main.took, second.sequence <= main.sequence:
		return main
	}
	return second
}

func union(main, second state) state {
	main.sequence = max(main.sequence, second.sequence)
	main.last = max(main.last, second.last)
	main.took = second.apart
	for _, e := range second.list() {
		if have, ok := main.open[e.ID]; ok && have != e {
			e.ID = main.last + 1
		}
		main.add(e)
	}
	return main
}
