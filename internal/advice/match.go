package advice

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"knockd/internal/packet"
)

// answer to whether a rule matches.
type answer int

const (
	no answer = iota
	maybe
	yes
)

// matched is a rule's answer, and what it then does.
type matched struct {
	hit     answer
	verdict *expr.Verdict
}

// value is what a register holds: bytes, or nil for what is not known of the packet.
type value struct {
	data []byte
	// iif is set for the name or number of the incoming interface, of which it is known only that it is not loopback.
	iif bool
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
func (r *ruleset) match(t *nftables.Table, rule *nftables.Rule, p *probe) matched {
	m := &machine{r: r, table: t, p: p, registers: map[uint32]value{}, out: matched{hit: yes}}
	for _, e := range rule.Exprs {
		if !m.step(e) {
			return matched{hit: no}
		}
		if m.out.verdict != nil {
			break
		}
	}
	return m.out
}

// step runs one expression. It reports false where the rule does not match for sure.
func (m *machine) step(e expr.Any) bool {
	switch e := e.(type) {
	case *expr.Meta:
		if !e.SourceRegister {
			m.registers[e.Register] = m.meta(e.Key)
		}
	case *expr.Payload:
		if e.OperationType == expr.PayloadLoad {
			m.registers[e.DestRegister] = m.payload(e)
		}
	case *expr.Ct:
		if !e.SourceRegister {
			m.registers[e.Register] = ctValue(e.Key)
		}
	case *expr.Fib:
		m.registers[e.Register] = fib(e)
	case *expr.Immediate:
		m.registers[e.Register] = value{data: e.Data}
	case *expr.Bitwise:
		m.registers[e.DestRegister] = bitwise(m.registers[e.SourceRegister], e)
	case *expr.Cmp:
		return m.take(compare(m.registers[e.Register], e))
	case *expr.Range:
		return m.take(within(m.registers[e.Register], e))
	case *expr.Lookup:
		return m.lookup(e)
	case *expr.Verdict:
		m.out.verdict = e
	case *expr.Reject:
		m.out.verdict = &expr.Verdict{Kind: expr.VerdictDrop}
	case *expr.Match:
		return m.take(m.extension(e))
	case *expr.Target:
		m.target(e)
	case *expr.Counter, *expr.Log, *expr.Notrack, *expr.Objref:
	default: // a limit, a quota, a set that is filled
		m.take(maybe)
	}
	return true
}

// take takes an answer into account, and reports whether the rule may still match.
func (m *machine) take(a answer) bool {
	if a == maybe {
		m.out.hit = maybe
	}
	return a != no
}

func (m *machine) meta(k expr.MetaKey) value {
	switch k {
	case expr.MetaKeyL4PROTO:
		return value{data: []byte{byte(m.p.proto)}}
	case expr.MetaKeyNFPROTO:
		return value{data: []byte{m.p.family}}
	case expr.MetaKeyIIF, expr.MetaKeyIIFNAME:
		return value{iif: true}
	default:
		return value{}
	}
}

// stranger4 and stranger6 stand for an address that no rule knows (RFC 5737, RFC 3849).
var (
	stranger4 = netip.MustParseAddr("203.0.113.217")
	stranger6 = netip.MustParseAddr("2001:db8:5f3e:9d1::7a11")
)

func (m *machine) payload(e *expr.Payload) value {
	switch e.Base {
	case expr.PayloadBaseTransportHeader:
		return part(m.transport(), e)
	case expr.PayloadBaseNetworkHeader:
		return part(m.network(), e)
	default:
		return value{}
	}
}

// header is what is known of a header: bytes, and which of them.
type header struct{ data, known []byte }

func newHeader(size int) header { return header{make([]byte, size), make([]byte, size)} }

func (h header) set(offset int, data ...byte) {
	copy(h.data[offset:], data)
	for i := range data {
		h.known[offset+i] = 1
	}
}

func part(h header, e *expr.Payload) value {
	from, to := int(e.Offset), int(e.Offset+e.Len)
	if to > len(h.data) || bytes.IndexByte(h.known[from:to], 0) >= 0 {
		return value{}
	}
	return value{data: h.data[from:to]}
}

// transport is a TCP header with SYN alone, or a UDP header; the source port is not known.
func (m *machine) transport() header {
	h := newHeader(20)
	h.set(2, byte(m.p.port>>8), byte(m.p.port))
	if m.p.proto == packet.TCP {
		h.set(13, byte(packet.SYN))
	}
	return h
}

// network is an IP header from a stranger; the destination is one of ours, but not known which.
func (m *machine) network() header {
	if m.p.family == unix.NFPROTO_IPV4 {
		h := newHeader(20)
		h.set(0, 0x45)
		h.set(6, 0x40, 0) // no fragment
		h.set(9, byte(m.p.proto))
		h.set(12, stranger4.AsSlice()...)
		return h
	}
	h := newHeader(40)
	h.set(6, byte(m.p.proto))
	h.set(8, stranger6.AsSlice()...)
	return h
}

// ctValue is a connection that begins.
func ctValue(k expr.CtKey) value {
	switch k {
	case expr.CtKeySTATE:
		return value{data: binary.NativeEndian.AppendUint32(nil, expr.CtStateBitNEW)}
	case expr.CtKeyDIRECTION:
		return value{data: []byte{0}}
	default:
		return value{}
	}
}

// fib: the destination is an address of this machine.
func fib(e *expr.Fib) value {
	if e.ResultADDRTYPE && e.FlagDADDR {
		return value{data: binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL)}
	}
	return value{}
}

func bitwise(v value, e *expr.Bitwise) value {
	if v.data == nil || len(e.Mask) != len(v.data) || len(e.Xor) != len(v.data) {
		return value{}
	}
	data := make([]byte, len(v.data))
	for i := range data {
		data[i] = v.data[i]&e.Mask[i] ^ e.Xor[i]
	}
	return value{data: data}
}

func compare(v value, e *expr.Cmp) answer {
	if v.iif {
		return compareInterface(e)
	}
	if v.data == nil || len(v.data) < len(e.Data) {
		return maybe
	}
	c := bytes.Compare(v.data[:len(e.Data)], e.Data)
	return sure(map[expr.CmpOp]bool{
		expr.CmpOpEq: c == 0, expr.CmpOpNeq: c != 0, expr.CmpOpLt: c < 0, expr.CmpOpLte: c <= 0, expr.CmpOpGt: c > 0, expr.CmpOpGte: c >= 0,
	}[e.Op])
}

// compareInterface: it is some interface, but not loopback (whose number is always 1).
func compareInterface(e *expr.Cmp) answer {
	name := string(bytes.TrimRight(e.Data, "\x00"))
	number := len(e.Data) == 4 && binary.NativeEndian.Uint32(e.Data) == 1
	if name != "lo" && !number {
		return maybe
	}
	return sure(e.Op == expr.CmpOpNeq)
}

func sure(b bool) answer {
	if b {
		return yes
	}
	return no
}

func within(v value, e *expr.Range) answer {
	if v.data == nil || len(v.data) != len(e.FromData) {
		return maybe
	}
	inside := bytes.Compare(v.data, e.FromData) >= 0 && bytes.Compare(v.data, e.ToData) <= 0
	return sure(inside == (e.Op == expr.CmpOpEq))
}

// lookup looks a value up in a set or a map of verdicts.
func (m *machine) lookup(e *expr.Lookup) bool {
	v := m.registers[e.SourceRegister]
	elements, err := m.r.elementsOf(m.table, e.SetName)
	if err != nil || v.data == nil {
		return m.take(maybe) && m.mapped(e, nil)
	}
	found := find(elements, v.data)
	if e.IsDestRegSet {
		if found == nil {
			return false
		}
		return m.mapped(e, found)
	}
	return m.take(sure((found != nil) != e.Invert))
}

// mapped takes what a map gives: a verdict, or a value.
func (m *machine) mapped(e *expr.Lookup, found *nftables.SetElement) bool {
	switch {
	case !e.IsDestRegSet:
	case found == nil: // it is not known which
		m.out.hit = maybe
		m.out.verdict = &expr.Verdict{Kind: expr.VerdictAccept}
	case found.VerdictData != nil:
		m.out.verdict = found.VerdictData
	case e.DestRegister == unix.NFT_REG_VERDICT:
		m.out.verdict = verdictOf(found.Val)
	default:
		m.registers[e.DestRegister] = value{data: found.Val}
	}
	return true
}

// find looks for a key in the elements of a set. Those of an interval set are begins and ends, in no order.
func find(elements []nftables.SetElement, data []byte) *nftables.SetElement {
	var begin *nftables.SetElement
	for i := range elements {
		el := &elements[i]
		if len(el.Key) < len(data) {
			continue
		}
		switch c := bytes.Compare(el.Key[:len(data)], data); {
		case c == 0 && !el.IntervalEnd:
			return el
		case c <= 0 && (begin == nil || bytes.Compare(el.Key, begin.Key) > 0):
			begin = el
		}
	}
	if begin == nil || begin.IntervalEnd || !hasEnds(elements) {
		return nil
	}
	return begin
}

func hasEnds(elements []nftables.SetElement) bool {
	for i := range elements {
		if elements[i].IntervalEnd {
			return true
		}
	}
	return false
}

// target follows the targets of iptables that have no expression of their own.
func (m *machine) target(e *expr.Target) {
	switch e.Name {
	case "LOG", "NFLOG":
	case "REJECT":
		m.out.verdict = &expr.Verdict{Kind: expr.VerdictDrop}
	default:
		m.out.hit = maybe
		m.out.verdict = &expr.Verdict{Kind: expr.VerdictAccept}
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
			v.Chain = string(bytes.TrimRight(a.Data, "\x00"))
		}
	}
	return v
}
