package advice

import (
	"bytes"
	"encoding/binary"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"knockd/internal/packet"
)

// value is what a register holds: bytes, or nil for what is not known of the packet.
type value struct {
	data []byte
	// iif is set for the name or number of the incoming interface, of which it is known only what it is not.
	iif bool
	// source is set for the source address, of which bits are looked at.
	source bool
	bits   int
}

func (p *probe) meta(k expr.MetaKey) value {
	switch k {
	case expr.MetaKeyL4PROTO:
		return value{data: []byte{byte(p.proto)}}
	case expr.MetaKeyNFPROTO:
		return value{data: []byte{p.family}}
	case expr.MetaKeyPROTOCOL:
		return value{data: binary.BigEndian.AppendUint16(nil, map[byte]uint16{ipv4: unix.ETH_P_IP, ipv6: unix.ETH_P_IPV6}[p.family])}
	case expr.MetaKeyPKTTYPE:
		return value{data: []byte{unix.PACKET_HOST}}
	case expr.MetaKeyIIF, expr.MetaKeyIIFNAME:
		return value{iif: true}
	default:
		return value{}
	}
}

// ct is a connection that begins.
func (p *probe) ct(k expr.CtKey) value {
	switch {
	case !p.begins():
		return value{}
	case k == expr.CtKeySTATE:
		return value{data: binary.NativeEndian.AppendUint32(nil, expr.CtStateBitNEW)}
	case k == expr.CtKeySTATUS:
		return value{data: binary.NativeEndian.AppendUint32(nil, p.status())}
	case k == expr.CtKeyDIRECTION:
		return value{data: []byte{0}}
	default:
		return value{}
	}
}

// statusTranslated is IPS_DST_NAT of nf_conntrack_common.h.
const statusTranslated = 1 << 5

// status is that of a connection of which nothing came before.
func (p *probe) status() uint32 {
	if p.translated {
		return statusTranslated
	}
	return 0
}

// fib: the destination is an address of this machine until it is translated.
func (p *probe) fib(e *expr.Fib) value {
	if e.ResultADDRTYPE && e.FlagDADDR && !p.to.IsValid() {
		return value{data: binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL)}
	}
	return value{}
}

// Where the source address stands in the headers of IPv4 and IPv6.
const (
	source4, source6 = 12, 8
	target4, target6 = 16, 24
)

func (p *probe) payload(e *expr.Payload) value {
	switch e.Base {
	case expr.PayloadBaseTransportHeader:
		return value{data: p.transport().part(e)}
	case expr.PayloadBaseNetworkHeader:
		v := value{data: p.network().part(e)}
		v.source = v.data != nil && (p.family == ipv4 && e.Offset == source4 && e.Len <= 4 || p.family == ipv6 && e.Offset == source6 && e.Len <= 16)
		v.bits = 8 * len(v.data)
		return v
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

// part is nil where something of it is not known.
func (h header) part(e *expr.Payload) []byte {
	from, to := uint64(e.Offset), uint64(e.Offset)+uint64(e.Len)
	if to > uint64(len(h.data)) || bytes.IndexByte(h.known[from:to], 0) >= 0 {
		return nil
	}
	return h.data[from:to]
}

// transport is a TCP header with SYN alone, or a UDP header; the source port is not known.
func (p *probe) transport() header {
	h := newHeader(20)
	h.set(2, byte(p.port>>8), byte(p.port))
	if p.proto == packet.TCP {
		h.set(13, byte(packet.SYN))
	}
	return h
}

// network is an IP header from a stranger; which of our addresses it goes to is not known.
func (p *probe) network() header {
	if p.family == ipv4 {
		h := newHeader(20)
		h.set(0, 0x45)
		h.set(6, 0x40, 0) // no fragment
		h.set(9, byte(p.proto))
		h.set(source4, stranger4.AsSlice()...)
		h.set(target4, p.to.AsSlice()...)
		return h
	}
	h := newHeader(40)
	h.set(6, byte(p.proto))
	h.set(source6, stranger6.AsSlice()...)
	h.set(target6, p.to.AsSlice()...)
	return h
}

func bitwise(v value, e *expr.Bitwise) value {
	if v.data == nil || len(e.Mask) != len(v.data) || len(e.Xor) != len(v.data) {
		return value{}
	}
	out := value{data: make([]byte, len(v.data)), source: v.source}
	for i := range out.data {
		out.data[i] = v.data[i]&e.Mask[i] ^ e.Xor[i]
	}
	out.bits = ones(e.Mask)
	return out
}
