package advice

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/google/nftables"
)

// set is a set or a map with its elements, sorted.
type set struct {
	interval, plain bool
	elements        []nftables.SetElement
	// other is the element for everything that no other has ("*"), nil if there is none.
	other *nftables.SetElement
}

// setOf reads a set, once. nil is one that can't be read.
func (r *ruleset) setOf(t *nftables.Table, name string) *set {
	id := key(t) + " " + name
	s, ok := r.sets[id]
	if !ok {
		s = r.readSet(t, name)
		r.sets[id] = s
	}
	return s
}

func (r *ruleset) readSet(t *nftables.Table, name string) *set {
	about, err := r.conn.GetSetByName(t, name)
	if err != nil {
		return nil
	}
	about.Table = t
	elements, err := r.conn.GetSetElements(about)
	if err != nil {
		return nil
	}
	s := &set{interval: about.Interval, plain: !about.Concatenation}
	for i := range elements {
		if len(elements[i].Key) == 0 {
			s.other = &elements[i]
			continue
		}
		s.plain = s.plain && len(elements[i].KeyEnd) == 0
		s.elements = append(s.elements, elements[i])
	}
	slices.SortStableFunc(s.elements, func(a, b nftables.SetElement) int {
		return cmp.Or(bytes.Compare(a.Key, b.Key), cmp.Compare(order(a), order(b)))
	})
	return s
}

// order: where one interval ends and the next begins, the end comes first.
func order(e nftables.SetElement) int {
	if e.IntervalEnd {
		return 0
	}
	return 1
}

// find looks for a key. It is maybe there if the set can't be read, or is of another kind.
func (s *set) find(v value) (*nftables.SetElement, answer) {
	if s == nil || !s.plain || len(s.elements) > 0 && len(s.elements[0].Key) != len(v.data) {
		return nil, maybe
	}
	if v.source && s.wide() {
		return nil, maybe
	}
	var last *nftables.SetElement
	for i := range s.elements {
		if c := bytes.Compare(s.elements[i].Key, v.data); c > 0 || c < 0 && !s.interval {
			continue
		}
		last = &s.elements[i]
	}
	switch {
	case last != nil && !last.IntervalEnd:
		return last, yes
	case s.other != nil:
		return s.other, yes
	default:
		return nil, no
	}
}

// many is the number of sources from which on a set is one of countries or of an Internet of bad addresses.
const many = 512

// wide reports whether a set of sources has so large a part of the Internet that a knocker may well be in it.
func (s *set) wide() bool {
	if len(s.elements) > many {
		return true
	}
	for i := range s.elements {
		begin := s.elements[i]
		if begin.IntervalEnd || !s.interval {
			continue
		}
		length := 0
		if i+1 < len(s.elements) {
			length = prefixLength(begin.Key, s.elements[i+1].Key)
		}
		if wide(begin.Key, length) {
			return true
		}
	}
	return false
}

// prefixLength is about how long the prefix is that goes from begin up to before end: what is as large or larger has the same or
// a shorter one.
func prefixLength(begin, end []byte) int {
	length := 1
	for size := first64(end) - first64(begin); length < 64 && size < 1<<(64-length); length++ {
		continue
	}
	return length
}

func first64(key []byte) uint64 {
	return binary.BigEndian.Uint64(append(slices.Clone(key), make([]byte, 8)...))
}
