package filter

import "golang.org/x/net/bpf"

// code is a classic BPF program whose jumps go to labels. All jumps go forward, as the kernel demands.
type code struct {
	lines  []line
	labels int
}

// label is a place in a program, bound once, behind all jumps to it.
type label int

// line is one of four things: a plain instruction, a jump (to yes), a branch, or the binding of the label yes.
type line struct {
	kind    kind
	plain   bpf.Instruction
	test    bpf.JumpTest
	value   uint32
	yes, no label
}

type kind uint8

const (
	plainLine kind = iota
	jumpLine
	branchLine
	bindLine
)

func (c *code) label() label {
	c.labels++
	return label(c.labels - 1)
}

func (c *code) emit(ins ...bpf.Instruction) {
	for _, i := range ins {
		c.lines = append(c.lines, line{plain: i})
	}
}

func (c *code) bind(l label) { c.lines = append(c.lines, line{kind: bindLine, yes: l}) }

func (c *code) jump(to label) { c.lines = append(c.lines, line{kind: jumpLine, yes: to}) }

// branch goes to yes if A stands the test against value, else to no.
func (c *code) branch(test bpf.JumpTest, value uint32, yes, no label) {
	c.lines = append(c.lines, line{kind: branchLine, test: test, value: value, yes: yes, no: no})
}

// unless goes to no if A fails the test, and on if not.
func (c *code) unless(test bpf.JumpTest, value uint32, no label) {
	next := c.label()
	c.branch(test, value, next, no)
	c.bind(next)
}

// when goes to yes if A stands the test, and on if not.
func (c *code) when(test bpf.JumpTest, value uint32, yes label) {
	next := c.label()
	c.branch(test, value, yes, next)
	c.bind(next)
}
