package advice

import (
	"encoding/binary"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"

	"knockd/internal/packet"
)

// extension answers for the matches of iptables that have no expression of their own.
func (m *machine) extension(e *expr.Match) answer {
	switch info := e.Info.(type) {
	case *xt.Comment:
		return yes
	case *xt.Tcp:
		return m.ports(packet.TCP, info.DstPorts)
	case *xt.Udp:
		return m.ports(packet.UDP, info.DstPorts)
	case *xt.ConntrackMtinfo3:
		return conntrack(info.MatchFlags, info.InvertFlags, info.StateMask)
	case *xt.ConntrackMtinfo2:
		return conntrack(info.MatchFlags, info.InvertFlags, info.StateMask)
	case *xt.Unknown:
		return m.raw(e.Name, *info)
	default:
		return maybe
	}
}

func (m *machine) ports(proto packet.Proto, ports [2]uint16) answer {
	return sure(m.p.proto == proto && ports[0] <= m.p.port && m.p.port <= ports[1])
}

// The flag and the state of a new connection in xt_conntrack.h: XT_CONNTRACK_STATE, and the bit of IP_CT_NEW.
const (
	conntrackState = 1
	stateNew       = 8
)

func conntrack(match, invert, states uint16) answer {
	if match != conntrackState {
		return maybe
	}
	return sure((states&stateNew != 0) != (invert&conntrackState != 0))
}

// raw reads the matches that the library leaves as bytes.
func (m *machine) raw(name string, info []byte) answer {
	switch {
	case name == "state" && len(info) >= 4: // struct xt_state_info: the same bits
		return sure(binary.NativeEndian.Uint32(info)&stateNew != 0)
	case name == "multiport" && len(info) >= 48:
		return m.multiport(info)
	default:
		return maybe
	}
}

// multiport reads struct xt_multiport_v1: what is compared, a count, 15 ports, which of them begin a range, and whether it is
// inverted.
func (m *machine) multiport(info []byte) answer {
	const destination = 1
	if info[0] != destination {
		return maybe
	}
	inside := false
	count := min(int(info[1]), 15)
	port := func(i int) uint16 { return binary.NativeEndian.Uint16(info[2+2*i:]) }
	for i := 0; i < count; i++ {
		first, last := port(i), port(i)
		if info[32+i] != 0 && i+1 < count {
			i++
			last = port(i)
		}
		inside = inside || first <= m.p.port && m.p.port <= last
	}
	return sure(inside != (info[47] != 0))
}
