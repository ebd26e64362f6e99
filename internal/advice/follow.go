package advice

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// outcome is what may become of a packet in a chain.
type outcome struct {
	accepted, dropped, returned bool
	// by says what drops.
	by string
}

// certain reports whether there is one outcome alone.
func (o outcome) certain() bool {
	n := 0
	for _, may := range []bool{o.accepted, o.dropped, o.returned} {
		if may {
			n++
		}
	}
	return n == 1
}

func (o *outcome) add(other outcome) {
	o.accepted = o.accepted || other.accepted
	o.dropped = o.dropped || other.dropped
	o.returned = o.returned || other.returned
	if o.by == "" {
		o.by = other.by
	}
}

// deepest bounds jumps, as the kernel does (NFT_JUMP_STACK_SIZE is 16).
const deepest = 16

// unknown is the outcome of what can't be followed.
func unknown() outcome {
	return outcome{accepted: true, dropped: true, by: "a rule that can't be followed"}
}

// follow takes a packet through a base chain: at its end the policy decides.
func (r *ruleset) follow(c *nftables.Chain, p *probe, depth int) outcome {
	out := r.walk(c, p, depth)
	if !out.returned {
		return out
	}
	out.returned = false
	if c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
		out.add(outcome{dropped: true, by: "policy drop"})
		return out
	}
	out.add(outcome{accepted: true})
	return out
}

// walk takes a packet through a chain, up to its end.
func (r *ruleset) walk(c *nftables.Chain, p *probe, depth int) outcome {
	if depth > deepest {
		return unknown()
	}
	rules, err := r.rulesOf(c)
	if err != nil {
		return unknown()
	}
	var out outcome
	for _, rule := range rules {
		m := r.match(c.Table, rule, p)
		if m.hit == no {
			continue
		}
		verdict, ends := r.verdict(c, m, p, depth)
		out.add(verdict)
		if m.hit == yes && ends {
			return out
		}
	}
	out.returned = true
	return out
}

// verdict is what a rule that matched does, and whether the packet goes no further in this chain.
func (r *ruleset) verdict(c *nftables.Chain, m matched, p *probe, depth int) (outcome, bool) {
	v := m.verdict
	if v == nil {
		return outcome{}, false
	}
	switch v.Kind {
	case expr.VerdictAccept:
		return outcome{accepted: true}, true
	case expr.VerdictDrop:
		return outcome{dropped: true, by: "a rule that drops"}, true
	case expr.VerdictReturn:
		return outcome{returned: true}, true
	case expr.VerdictJump, expr.VerdictGoto:
		target := r.chains[key(c.Table)][v.Chain]
		if target == nil {
			return unknown(), true
		}
		out := r.walk(target, p, depth+1)
		if out.by != "" && out.by == "a rule that drops" {
			out.by = fmt.Sprintf("a rule that drops in chain %s", target.Name)
		}
		back := out.returned
		out.returned = back && v.Kind == expr.VerdictGoto
		return out, !back || v.Kind == expr.VerdictGoto
	case expr.VerdictContinue:
		return outcome{}, false
	default: // a queue, a stolen packet
		return unknown(), true
	}
}
