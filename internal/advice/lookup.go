package advice

import (
	"encoding/binary"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// lookup looks a value up in a set or a map.
func (m *machine) lookup(e *expr.Lookup) bool {
	v := m.registers[e.SourceRegister]
	s := m.r.setOf(m.table, e.SetName)
	if v.iif {
		return m.lookupInterface(e, s)
	}
	if v.data == nil {
		s = nil
	}
	found, a := s.find(v)
	if !e.IsDestRegSet {
		if a != maybe {
			a = sure((a == yes) != e.Invert)
		}
		return m.take(a)
	}
	if !m.take(a) {
		return false
	}
	if a == yes {
		m.mapped(e, found)
		return true
	}
	return m.mappedToAny(e, s)
}

// lookupInterface: elements that strangers don't come by are not there.
func (m *machine) lookupInterface(e *expr.Lookup, s *set) bool {
	if s == nil || !s.plain {
		return m.take(maybe) && m.mappedToAny(e, nil)
	}
	rest := &set{plain: true, other: s.other}
	for _, el := range s.elements {
		if s.interval || !inside(el.Key) {
			rest.elements = append(rest.elements, el)
		}
	}
	if len(rest.elements) > 0 {
		return m.take(maybe) && m.mappedToAny(e, rest)
	}
	if !e.IsDestRegSet {
		return m.take(sure(e.Invert))
	}
	if rest.other == nil {
		return false
	}
	m.mapped(e, rest.other)
	return true
}

// mappedToAny takes everything that a map may give.
func (m *machine) mappedToAny(e *expr.Lookup, s *set) bool {
	switch {
	case !e.IsDestRegSet:
	case e.DestRegister != unix.NFT_REG_VERDICT:
		m.registers[e.DestRegister] = value{}
	case s == nil:
		m.decide(&expr.Verdict{Kind: expr.VerdictAccept})
	default:
		for i := range s.elements {
			m.mapped(e, &s.elements[i])
		}
		if s.other != nil {
			m.mapped(e, s.other)
		}
	}
	return true
}

// mapped takes what a map gives: a verdict, or a value.
func (m *machine) mapped(e *expr.Lookup, found *nftables.SetElement) {
	switch {
	case e.DestRegister != unix.NFT_REG_VERDICT:
		m.registers[e.DestRegister] = value{data: found.Val}
	case found.VerdictData != nil:
		m.decide(found.VerdictData)
	default:
		m.decide(verdictOf(found.Val))
	}
}

// verdictOf reads a verdict as it stands in a map's element (NFTA_VERDICT_CODE and NFTA_VERDICT_CHAIN in nf_tables.h): the
// library leaves it as bytes. What can't be read may be anything.
func verdictOf(data []byte) *expr.Verdict {
	v := &expr.Verdict{Kind: expr.VerdictStolen}
	attrs, err := netlink.UnmarshalAttributes(data)
	if err != nil {
		return v
	}
	for _, a := range attrs {
		switch {
		case a.Type == unix.NFTA_VERDICT_CODE && len(a.Data) == 4:
			v.Kind = expr.VerdictKind(int32(binary.BigEndian.Uint32(a.Data)))
		case a.Type == unix.NFTA_VERDICT_CHAIN:
			v.Chain = text(a.Data)
		}
	}
	return v
}
