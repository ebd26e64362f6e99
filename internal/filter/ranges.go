package filter

import (
	"cmp"
	"slices"
)

// ranges are the verdicts on all ports, prepared for joining: runs of segments that admit ports for themselves, and the
// gaps between them.
type ranges struct {
	segments []segment
	// flags are all flag values that some segment admits.
	flags uint64
	// gaps are the gaps between two runs, the widest first.
	gaps []gap
	// runs is the number of runs.
	runs int
}

// gap is the segments from index first up to last, and how many ports they are.
type gap struct {
	first, last int
	width       uint32
}

// listed reports whether ports are admitted for themselves, not refused or left to the hash.
func (v verdict) listed() bool { return v.flags != 0 && !v.hash }

func newRanges(segments []segment) ranges {
	r := ranges{segments: segments, flags: union(segments)}
	after := -1 // the index behind the last listed segment
	for i, s := range segments {
		if !s.listed() {
			continue
		}
		if after < 0 {
			r.runs = 1
		} else if after < i {
			r.runs++
			r.gaps = append(r.gaps, gap{after, i, s.from - segments[after].from})
		}
		after = i + 1
	}
	slices.SortStableFunc(r.gaps, func(a, b gap) int { return cmp.Compare(b.width, a.width) })
	return r
}

// keep returns the segments with at most n runs: the narrowest gaps are admitted, and all runs admit what any does.
func (r ranges) keep(n int) []segment {
	filled := make([]bool, len(r.segments))
	for _, g := range r.gaps[min(max(n-1, 0), len(r.gaps)):] {
		for i := g.first; i < g.last; i++ {
			filled[i] = true
		}
	}
	var joined []segment
	for i, s := range r.segments {
		if filled[i] || s.listed() {
			s.verdict = verdict{flags: r.flags}
		}
		if len(joined) == 0 || joined[len(joined)-1].verdict != s.verdict {
			joined = append(joined, s)
		}
	}
	return joined
}

// whole admits every port, if any is.
func (r ranges) whole() []segment { return []segment{{0, verdict{flags: r.flags}}} }
