package advice

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// deepest bounds jumps, as the kernel does (NFT_JUMP_STACK_SIZE is 16).
const deepest = 16

const ruleDrops = "a rule that drops"

// follow takes a packet through a base chain: at its end the policy decides.
func (r *ruleset) follow(c *nftables.Chain, p *probe) outcome {
	out := r.walk(c, p, 0)
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
	var out outcome
	for _, rule := range r.rules[key(c.Table)][c.Name] {
		if p.tired() {
			out.add(unknown())
			return out
		}
		m := r.match(c.Table, rule, p)
		if m.hit == no {
			continue
		}
		ends := m.hit == yes
		for _, e := range m.effects {
			one, last := r.effect(c, e, p, depth)
			out.add(one)
			ends = ends && last
		}
		if ends && len(m.effects) > 0 {
			return out
		}
	}
	out.returned = true
	return out
}

// effect is what a rule that matched does, and whether the packet goes no further in this chain.
func (r *ruleset) effect(c *nftables.Chain, e effect, p *probe, depth int) (outcome, bool) {
	if e.nat {
		return outcome{translated: true, to: e.to, ambiguous: e.ambiguous}, true
	}
	switch e.verdict.Kind {
	case expr.VerdictAccept:
		return outcome{accepted: true}, true
	case expr.VerdictDrop:
		return outcome{dropped: true, by: ruleDrops}, true
	case expr.VerdictReturn:
		return outcome{returned: true}, true
	case expr.VerdictJump, expr.VerdictGoto:
		return r.jump(c, e.verdict, p, depth)
	case expr.VerdictContinue, expr.VerdictBreak:
		return outcome{}, false
	default: // a queue, a stolen packet
		return unknown(), true
	}
}

// jump follows a jump or a goto. What returns from a jump goes on behind it, what returns from a goto does not.
func (r *ruleset) jump(c *nftables.Chain, v *expr.Verdict, p *probe, depth int) (outcome, bool) {
	target := r.chains[key(c.Table)][v.Chain]
	if target == nil {
		return unknown(), true
	}
	out := r.walk(target, p, depth+1)
	if out.by == ruleDrops {
		out.by = fmt.Sprintf("%s in chain %s", ruleDrops, target.Name)
	}
	if v.Kind == expr.VerdictGoto {
		return out, true
	}
	back := out.returned
	out.returned = false
	return out, !back
}
