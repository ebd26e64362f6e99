package filter

import (
	"knockd/internal/decoy"
	"knockd/internal/packet"
)

// verdict is what becomes of a packet to a port. The zero verdict refuses it.
type verdict struct {
	// flags are the flag values admitted.
	flags uint64
	// hash: the hash of the port decides as well.
	hash bool
}

// segment is a range of ports with one verdict, up to the next segment.
type segment struct {
	from uint32
	verdict
}

// hashes are the bounds of the decoys' hashes by key: sets of one key are subsets of the largest.
type hashes []hash

type hash struct {
	key       decoy.Key
	threshold uint32
}

func newHashes(sets []*decoy.Set) (list hashes) {
next:
	for _, s := range sets {
		if s.Threshold() == 0 {
			continue
		}
		for i := range list {
			if list[i].key == s.Key() {
				list[i].threshold = max(list[i].threshold, s.Threshold())
				continue next
			}
		}
		list = append(list, hash{s.Key(), s.Threshold()})
	}
	return list
}

// contains reports whether the hash of a port says that it is a decoy.
func (list hashes) contains(n int) bool {
	for _, h := range list {
		if h.key.Hash(uint16(n)) < h.threshold {
			return true
		}
	}
	return false
}

// segments returns the verdicts on all ports. Wherever the hash is right, it decides; where exclusions and neighbours
// contradict it, the port has a verdict of its own.
func (t *table) segments(list hashes) []segment {
	var segments []segment
	for n := range portCount {
		v := verdict{flags: t.admitted(n)}
		if t.flags[n] == 0 && len(list) > 0 && n >= decoy.FirstHashed && list.contains(n) == t.decoy[n] {
			v = verdict{flags: t.opening, hash: true}
		}
		if n == 0 || v != segments[len(segments)-1].verdict {
			segments = append(segments, segment{uint32(n), v})
		}
	}
	return segments
}

// union returns all flag values that some segment admits.
func union(segments []segment) (flags uint64) {
	for _, s := range segments {
		flags |= s.flags
	}
	return flags
}

// match returns the simplest test for a set of flag values, if there is a simple one.
func match(flags uint64) (packet.FlagMatch, bool) {
	m := packet.FlagMatch{Set: 63, Clear: 63}
	for f := range packet.Flags(64) {
		if flags>>f&1 == 1 {
			m.Set &= f
			m.Clear &^= f
		}
	}
	return m, m.Bitmap() == flags
}
