package knock

import (
	"net/netip"

	"knockd/internal/packet"
)

// flagged reports whether a packet to the destination of a class's doors has the flags that they ask for.
func (e *Engine) flagged(class uint32, p *packet.Packet) bool {
	return p.Port.Proto != packet.TCP || e.index.classes[class].Admits(p.Flags)
}

// counts reports whether some door that lists the port admits the packet.
func (e *Engine) counts(info *portInfo, p *packet.Packet) bool {
	if info.count > 0 && e.flagged(info.class, p) {
		return true
	}
	if info.extra == nil {
		return false
	}
	for _, c := range info.extra.classes {
		if c.count > 0 && e.flagged(c.class, p) {
			return true
		}
	}
	return false
}

// real reports whether a packet can come from where it says: nobody could be answered at the other addresses, and
// loopback does not come from the wire.
func real(p *packet.Packet) bool {
	src := p.Src
	switch {
	case !src.IsValid(), src.Is4In6(), src.IsUnspecified(), src.IsMulticast(), src == broadcast:
		return false
	case src.IsLoopback():
		return p.Dst.IsLoopback()
	default:
		return true
	}
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
