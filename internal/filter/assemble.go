package filter

import (
	"slices"

	"golang.org/x/net/bpf"
)

// farthest is how far a branch may skip: 255 instructions, less one for a relay that the branch's other side may still
// put between.
const farthest = 254

// assembler puts a program together from its end to its start: jumps go forward, so every distance is known when the
// jump is placed. Positions count from the end.
type assembler struct {
	out []bpf.Instruction
	// home is where a label is bound; near is its relay nearest to the front, or home.
	home, near []int
}

// assemble turns labels into distances. A branch that would go too far goes to a relay behind it, which others
// before it can use as well.
func (c *code) assemble() []bpf.Instruction {
	a := assembler{home: make([]int, c.labels), near: make([]int, c.labels)}
	for _, l := range slices.Backward(c.lines) {
		switch l.kind {
		case plainLine:
			a.out = append(a.out, l.plain)
		case jumpLine:
			if skip := a.skip(a.home, l.yes); skip > 0 {
				a.out = append(a.out, a.relay(l.yes))
			}
		case branchLine:
			a.branch(l)
		case bindLine:
			a.home[l.yes], a.near[l.yes] = len(a.out), len(a.out)
		}
	}
	slices.Reverse(a.out)
	return a.out
}

// skip is how many instructions lie between the one to be placed next and the label. A label that is not bound yet
// stands at 0, behind the last instruction; the program's tests would fail at it.
func (a *assembler) skip(places []int, to label) int { return len(a.out) - places[to] }

// relay is a jump to the label. Where that is a return, returning here as well would save a step, but to the kernel's
// check of scratch memory, what was stored before a return counts for the instruction behind it (check_load_and_stores
// in net/core/filter.c), and behind a relay stands code that others reach.
func (a *assembler) relay(to label) bpf.Instruction {
	return bpf.Jump{Skip: uint32(a.skip(a.home, to))}
}

func (a *assembler) branch(l line) {
	for _, to := range [2]label{l.yes, l.no} {
		if a.skip(a.near, to) > farthest {
			a.out = append(a.out, a.relay(to))
			a.near[to] = len(a.out)
		}
	}
	a.out = append(a.out, bpf.JumpIf{
		Cond: l.test, Val: l.value,
		SkipTrue: uint8(a.skip(a.near, l.yes)), SkipFalse: uint8(a.skip(a.near, l.no)),
	})
}
