package advice

import (
	"encoding/binary"

	"github.com/google/nftables/xt"

	"knockd/internal/packet"
)

// extension answers for the matches of iptables that have no expression of their own.
func (p *probe) extension(name string, info xt.InfoAny) answer {
	switch info := info.(type) {
	case *xt.Comment:
		return yes
	case *xt.Tcp:
		return p.tcp(info)
	case *xt.Udp:
		return p.udp(info)
	case *xt.ConntrackMtinfo3:
		return p.conntrack(info.MatchFlags, info.InvertFlags, info.StateMask)
	case *xt.ConntrackMtinfo2:
		return p.conntrack(info.MatchFlags, info.InvertFlags, info.StateMask)
	case *xt.AddrType:
		return p.addrtype(info.Source, info.Dest, info.InvertSource, info.InvertDest)
	case *xt.AddrTypeV1:
		if info.Flags&^3 != 0 { // on one interface alone
			return maybe
		}
		return p.addrtype(info.Source, info.Dest, info.Flags&1 != 0, info.Flags&2 != 0)
	case *xt.Unknown:
		return p.raw(name, *info)
	default:
		return maybe
	}
}

// both joins two matches of one rule.
func both(a, b answer) answer { return min(a, b) }

func (p *probe) tcp(info *xt.Tcp) answer {
	if p.proto != packet.TCP {
		return no
	}
	a := p.ports(info.DstPorts, info.InvFlags&xt.TcpInvDestPorts != 0)
	if info.SrcPorts != [2]uint16{0, 65535} || info.InvFlags&xt.TcpInvSrcPorts != 0 || info.Option != 0 {
		a = both(a, maybe)
	}
	flags := byte(packet.SYN)&info.FlagsMask == info.FlagsCmp
	return both(a, sure(flags != (info.InvFlags&xt.TcpInvFlags != 0)))
}

func (p *probe) udp(info *xt.Udp) answer {
	if p.proto != packet.UDP {
		return no
	}
	a := p.ports(info.DstPorts, info.InvFlags&xt.UdpInvDestPorts != 0)
	if info.SrcPorts != [2]uint16{0, 65535} || info.InvFlags&xt.UdpInvSrcPorts != 0 {
		a = both(a, maybe)
	}
	return a
}

func (p *probe) ports(ports [2]uint16, inverted bool) answer {
	return sure((ports[0] <= p.port && p.port <= ports[1]) != inverted)
}

// The flags and the states of a new connection in xt_conntrack.h: XT_CONNTRACK_STATE, XT_CONNTRACK_STATE_ALIAS (the rule was
// written with -m state), the bit of IP_CT_NEW, and XT_CONNTRACK_STATE_DNAT.
const (
	conntrackState  = 1
	stateAlias      = 1 << 13
	stateNew        = 1 << 3
	stateTranslated = 1 << 7
)

func (p *probe) conntrack(match, invert, states uint16) answer {
	if match&^stateAlias != conntrackState || !p.begins() {
		return maybe
	}
	is := uint16(stateNew)
	if p.translated {
		is |= stateTranslated
	}
	return sure((states&is != 0) != (invert&conntrackState != 0))
}

// addrtype: a stranger's address is unicast, the destination is local until it is translated.
func (p *probe) addrtype(source, dest uint16, notSource, notDest bool) answer {
	a := yes
	if source != 0 {
		a = sure((source&uint16(xt.AddrTypeUnicast) != 0) != notSource)
	}
	if dest == 0 {
		return a
	}
	if p.to.IsValid() {
		return both(a, maybe)
	}
	return both(a, sure((dest&uint16(xt.AddrTypeLocal) != 0) != notDest))
}

// raw reads the matches that the library leaves as bytes.
func (p *probe) raw(name string, info []byte) answer {
	switch {
	case name == "state" && len(info) >= 4 && p.begins(): // struct xt_state_info: the same bits
		return sure(binary.NativeEndian.Uint32(info)&stateNew != 0)
	case name == "multiport" && len(info) >= 48:
		return p.multiport(info)
	default:
		return maybe
	}
}

// multiport reads struct xt_multiport_v1: which ports (destination is 1), how many, 15 of them, 15 flags that say whether
// the port and the next one are a range, and whether it is inverted.
func (p *probe) multiport(info []byte) answer {
	const destination = 1
	if info[0] != destination {
		return maybe
	}
	in := false
	count := min(int(info[1]), 15)
	port := func(i int) uint16 { return binary.NativeEndian.Uint16(info[2+2*i:]) }
	for i := 0; i < count; i++ {
		first, last := port(i), port(i)
		if info[32+i] != 0 && i+1 < count {
			i++
			last = port(i)
		}
		in = in || first <= p.port && p.port <= last
	}
	return sure(in != (info[47] != 0))
}

// targetKind is what a target of iptables does to a packet, as far as it matters here.
type targetKind int

const (
	targetUnknown targetKind = iota
	targetPasses
	targetDrops
	targetTranslates
)

func kindOf(name string) targetKind {
	switch name {
	case "LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "CT", "NOTRACK", "TCPMSS", "SET", "CLASSIFY", "CHECKSUM", "TOS", "DSCP", "TTL", "HL",
		"TRACE", "AUDIT", "SECMARK", "CONNSECMARK", "RATEEST", "LED", "TEE", "HMARK", "IDLETIMER", "ECN", "TCPOPTSTRIP":
		return targetPasses
	case "REJECT":
		return targetDrops
	case "DNAT", "REDIRECT", "NETMAP":
		return targetTranslates
	default:
		return targetUnknown
	}
}
