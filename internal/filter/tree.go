package filter

import "golang.org/x/net/bpf"

// span is a range of values of A, up to the next span of its list, and where they lead.
type span struct {
	from uint32
	to   label
}

// appendSpan adds a span behind the others; one that leads where the one before it leads is a part of it.
func appendSpan(spans []span, s span) []span {
	if n := len(spans); n > 0 && spans[n-1].to == s.to {
		return spans
	}
	return append(spans, s)
}

// tree finds A among spans, the first of which begins at 0, by halves.
func (c *code) tree(spans []span) {
	switch n := len(spans); {
	case n == 1:
		c.jump(spans[0].to)
	case n == 3 && spans[0].to == spans[2].to && spans[1].from+1 == spans[2].from:
		c.branch(bpf.JumpEqual, spans[1].from, spans[1].to, spans[0].to)
	default:
		below, above := spans[:n/2], spans[n/2:]
		yes, no := c.root(above), c.root(below)
		c.branch(bpf.JumpGreaterOrEqual, above[0].from, yes, no)
		c.subtree(no, below)
		c.subtree(yes, above)
	}
}

// root is where the tree over spans begins: a single span needs none.
func (c *code) root(spans []span) label {
	if len(spans) == 1 {
		return spans[0].to
	}
	return c.label()
}

func (c *code) subtree(root label, spans []span) {
	if len(spans) > 1 {
		c.bind(root)
		c.tree(spans)
	}
}
