package journal

import (
	"cmp"
	"slices"
)

// state is what the records so far come to.
type state struct {
	sequence uint64
	open     map[uint64]Entry
	// size is the bytes of the file that the state is written to.
	size int
}

func newState() state { return state{open: map[uint64]Entry{}} }

func (s *state) apply(r record) {
	s.sequence = max(s.sequence, r.Sequence)
	switch r.Kind {
	case kindOpening:
		if r.Entry != nil {
			s.open[r.Entry.ID] = *r.Entry
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

func (s *state) list() []Entry {
	list := make([]Entry, 0, len(s.open))
	for _, e := range s.open {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b Entry) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// snapshot is a file that says what the state is.
func (s *state) snapshot() ([]byte, error) {
	s.sequence++
	text, err := record{Kind: kindHeader, Sequence: s.sequence, Version: version}.encode(nil)
	for _, e := range s.list() {
		if err != nil {
			return nil, err
		}
		text, err = record{Kind: kindOpening, Sequence: s.sequence, Entry: &e}.encode(text)
	}
	return text, err
}
