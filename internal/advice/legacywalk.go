package advice

import (
	"encoding/binary"

	"github.com/google/nftables/xt"

	"golang.org/x/sys/unix"
)

// walk takes a packet through a chain that begins at a place. policy is where a base chain's policy stands, -1 for a
// user's chain.
func (t *legacyTable) walk(at, policy int, p *probe, depth int) outcome {
	if depth > deepest {
		return unknown()
	}
	var out outcome
	for {
		e, ok := t.entry(at)
		if !ok || p.tired() {
			out.add(unknown())
			return out
		}
		at = e.next
		a := e.matches(p)
		if a == no {
			continue
		}
		one, ends := e.effect(at, policy, p, depth)
		if one.dropped && one.by == ruleDrops && at-len(e.data) == policy {
			one.by = "policy drop"
		}
		out.add(one)
		if ends && a == yes {
			return out
		}
	}
}

// The verdicts of a standard target: a place to jump to, or -1 less the verdict. XT_RETURN is NF_REPEAT.
const (
	legacyDrop   = -1
	legacyAccept = -2
	legacyReturn = -5
)

// effect is what a rule that matched does, and whether the packet goes no further in this chain.
func (e legacyEntry) effect(next, policy int, p *probe, depth int) (outcome, bool) {
	name := e.targetName()
	if name != "" {
		return e.other(name)
	}
	data := e.targetData()
	if len(data) < 4 {
		return unknown(), true
	}
	switch v := int32(binary.NativeEndian.Uint32(data)); {
	case v == legacyDrop:
		return outcome{dropped: true, by: ruleDrops}, true
	case v == legacyAccept:
		return outcome{accepted: true}, true
	case v == legacyReturn && policy >= 0:
		return e.t.walk(policy, policy, p, depth+1), true
	case v == legacyReturn:
		return outcome{returned: true}, true
	case v < 0:
		return unknown(), true
	case int(v) == next:
		return outcome{}, false
	default:
		return e.jump(int(v), p, depth)
	}
}

// other is what a target with a name does.
func (e legacyEntry) other(name string) (outcome, bool) {
	switch kindOf(name) {
	case targetPasses:
		return outcome{}, false
	case targetDrops:
		return outcome{dropped: true, by: ruleDrops}, true
	case targetTranslates:
		info, err := xt.Unmarshal(name, xt.TableFamily(e.t.family), uint32(e.targetBytes()[31]), e.targetData())
		if err != nil {
			return unknown(), true
		}
		to, known := translationOf(info)
		return outcome{translated: true, to: to, ambiguous: !known}, true
	default:
		return unknown(), true
	}
}

// legacyGoto is the flag of a rule that goes to a chain and does not come back (IPT_F_GOTO is 2, IP6T_F_GOTO is 4).
func (e legacyEntry) legacyGoto() bool {
	if e.t.family == ipv4 {
		return e.data[e.t.flags]&2 != 0
	}
	return e.data[e.t.flags]&4 != 0
}

func (e legacyEntry) jump(to int, p *probe, depth int) (outcome, bool) {
	out := e.t.walk(to, -1, p, depth+1)
	if out.by == ruleDrops {
		out.by += " in chain " + e.t.names()[to]
	}
	if e.legacyGoto() {
		return out, true
	}
	back := out.returned
	out.returned = false
	return out, !back
}

// guards are the base chains on the way of a packet that comes in.
func (t *legacyTable) guards() []guard {
	var list []guard
	add := func(hook int, chain string, at place, priority int32) {
		if t.valid&(1<<hook) == 0 {
			return
		}
		begin, policy := int(t.hooks[hook]), int(t.policies[hook])
		list = append(list, guard{
			place: at, priority: priority, families: []byte{t.family},
			where:  "table " + t.name + " of " + t.program + "-legacy, chain " + chain,
			follow: func(p *probe) outcome { return t.walk(begin, policy, p, 0) },
			fix:    func(w wish) string { return t.fix(w, chain) },
		})
	}
	if t.name == "nat" {
		add(unix.NF_INET_PRE_ROUTING, "PREROUTING", translating, translationPriority)
		return list
	}
	priority := map[string]int32{"raw": -300, "mangle": -150, "security": 50}[t.name]
	add(unix.NF_INET_PRE_ROUTING, "PREROUTING", prerouting, priority)
	add(unix.NF_INET_LOCAL_IN, "INPUT", input, priority)
	add(unix.NF_INET_FORWARD, "FORWARD", forward, priority)
	return list
}

func (t *legacyTable) fix(w wish, chain string) string {
	for _, name := range t.names() {
		if isUfw(name) && t.name == "filter" && w.ofUfw() {
			return fixUfw(w)
		}
	}
	return fixIptables(w, t.name, chain, "-legacy")
}
