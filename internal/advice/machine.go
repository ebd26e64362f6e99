package advice

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// effect is what a rule does to a packet: a verdict, or destination NAT.
type effect struct {
	verdict   *expr.Verdict
	nat       bool
	to        translation
	ambiguous bool
}

// matched is a rule's answer, and what it then may do: nothing, one thing, or one of several.
type matched struct {
	hit     answer
	effects []effect
}

// machine runs one rule.
type machine struct {
	r         *ruleset
	table     *nftables.Table
	p         *probe
	registers map[uint32]value
	out       matched
}

// match runs a rule on a packet as the kernel would, as far as the packet is known.
func (r *ruleset) match(t *nftables.Table, rule nftRule, p *probe) matched {
	m := &machine{r: r, table: t, p: p, registers: map[uint32]value{}, out: matched{hit: yes}}
	for _, e := range rule {
		if !m.step(e) {
			return matched{hit: no}
		}
		if len(m.out.effects) > 0 {
			break
		}
	}
	return m.out
}

// step runs one expression. It reports false where the rule does not match for sure.
func (m *machine) step(e expr.Any) bool {
	switch e := e.(type) {
	case *expr.Bitwise:
		m.registers[e.DestRegister] = bitwise(m.registers[e.SourceRegister], e)
	case *expr.Immediate:
		m.registers[e.Register] = value{data: e.Data}
	case *expr.Cmp:
		return m.take(compare(m.registers[e.Register], e, m.p))
	case *expr.Range:
		return m.take(within(m.registers[e.Register], e))
	case *expr.Lookup:
		return m.lookup(e)
	case *expr.Match:
		return m.take(m.p.extension(e.Name, e.Info))
	case *expr.Meta, *expr.Payload, *expr.Ct, *expr.Fib:
		m.load(e)
	case *expr.Counter, *expr.Log, *expr.Notrack:
	case *passing:
		m.take(maybe)
	default:
		m.act(e)
	}
	return true
}

// load fills a register.
func (m *machine) load(e expr.Any) {
	switch e := e.(type) {
	case *expr.Meta:
		if !e.SourceRegister {
			m.registers[e.Register] = m.p.meta(e.Key)
		}
	case *expr.Payload:
		if e.OperationType == expr.PayloadLoad {
			m.registers[e.DestRegister] = m.p.payload(e)
		}
	case *expr.Ct:
		if !e.SourceRegister {
			m.registers[e.Register] = m.p.ct(e.Key)
		}
	case *expr.Fib:
		m.registers[e.Register] = m.p.fib(e)
	}
}

// act runs what ends a rule, and what is not known at all: that may do anything.
func (m *machine) act(e expr.Any) {
	switch e := e.(type) {
	case *expr.Verdict:
		m.decide(e)
	case *expr.Reject:
		m.decide(&expr.Verdict{Kind: expr.VerdictDrop})
	case *expr.NAT:
		m.nat(e)
	case *expr.Redir:
		port, known := m.portIn(e.RegisterProtoMin)
		m.out.effects = []effect{{nat: true, to: translation{port: port}, ambiguous: !known || e.RegisterProtoMax != 0 && e.RegisterProtoMax != e.RegisterProtoMin}}
	case *expr.Target:
		m.target(e)
	case *expr.Objref: // a counter or a helper does nothing, a limit or a quota may match or not
		if e.Type != unix.NFT_OBJECT_COUNTER && e.Type != unix.NFT_OBJECT_CT_HELPER {
			m.take(maybe)
		}
	default:
		m.take(maybe)
		clear(m.registers)
		m.decide(&expr.Verdict{Kind: expr.VerdictAccept})
	}
}

func (m *machine) decide(v *expr.Verdict) { m.out.effects = append(m.out.effects, effect{verdict: v}) }

// take takes an answer into account, and reports whether the rule may still match.
func (m *machine) take(a answer) bool {
	if a == maybe {
		m.out.hit = maybe
	}
	return a != no
}

func (m *machine) nat(e *expr.NAT) {
	if e.Type != expr.NATTypeDestNAT {
		return
	}
	port, known := m.portIn(e.RegProtoMin)
	to := effect{nat: true, to: translation{port: port}, ambiguous: !known}
	if e.RegAddrMin != 0 {
		addr, ok := netip.AddrFromSlice(m.registers[e.RegAddrMin].data)
		to.to.to, to.ambiguous = addr, to.ambiguous || !ok
	}
	different := e.RegAddrMax != 0 && e.RegAddrMax != e.RegAddrMin || e.RegProtoMax != 0 && e.RegProtoMax != e.RegProtoMin
	to.ambiguous = to.ambiguous || different || e.Prefix
	m.out.effects = []effect{to}
}

// portIn reads a port from a register; 0 is no register, and the same port.
func (m *machine) portIn(register uint32) (uint16, bool) {
	if register == 0 {
		return 0, true
	}
	data := m.registers[register].data
	if len(data) < 2 {
		return 0, false
	}
	return uint16(data[0])<<8 | uint16(data[1]), true
}

// target follows the targets of iptables that have no expression of their own.
func (m *machine) target(e *expr.Target) {
	switch kind := kindOf(e.Name); kind {
	case targetPasses:
	case targetDrops:
		m.decide(&expr.Verdict{Kind: expr.VerdictDrop})
	case targetTranslates:
		to, known := translationOf(e.Info)
		m.out.effects = []effect{{nat: true, to: to, ambiguous: !known}}
	default:
		m.out.hit = maybe
		m.decide(&expr.Verdict{Kind: expr.VerdictAccept})
	}
}
