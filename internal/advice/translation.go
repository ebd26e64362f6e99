package advice

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/google/nftables/xt"
)

// String says where a packet is sent, behind its port.
func (t translation) String() string {
	switch {
	case t.port == 0:
		return ""
	case t.to.IsValid():
		return fmt.Sprintf(", sent on to %s,", netip.AddrPortFrom(t.to, t.port))
	default:
		return fmt.Sprintf(", sent on to port %d,", t.port)
	}
}

// translationOf reads where the targets DNAT and REDIRECT of iptables send a packet. It reports false where that is one of
// several places, or not known.
func translationOf(info xt.InfoAny) (translation, bool) {
	switch info := info.(type) {
	case *xt.NatRange:
		return oneOf(xt.NatRangeFlags(info.Flags), info.MinIP, info.MaxIP, info.MinPort, info.MaxPort)
	case *xt.NatRange2:
		return oneOf(xt.NatRangeFlags(info.Flags), info.MinIP, info.MaxIP, info.MinPort, info.MaxPort)
	case *xt.NatIPv4MultiRangeCompat:
		if len(*info) != 1 {
			return translation{}, false
		}
		r := (*info)[0]
		return oneOf(xt.NatRangeFlags(r.Flags), r.MinIP, r.MaxIP, r.MinPort, r.MaxPort)
	default:
		return translation{}, false
	}
}

func oneOf(flags xt.NatRangeFlags, first, last net.IP, firstPort, lastPort uint16) (translation, bool) {
	var t translation
	known := flags&(xt.NatRangeProtoOffset|xt.NatRangeNetmap) == 0
	if flags&xt.NatRangeProtoSpecified != 0 {
		t.port, known = firstPort, known && firstPort == lastPort
	}
	if flags&xt.NatRangeMapIPs != 0 {
		addr, ok := netip.AddrFromSlice(first)
		t.to, known = addr.Unmap(), known && ok && first.Equal(last)
	}
	return t, known
}
