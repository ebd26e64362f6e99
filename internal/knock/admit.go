package knock

import (
	"net/netip"

	"knockd/internal/packet"
)

// admits reports whether a packet belongs to the stream of doors of a class.
func (e *Engine) admits(class uint32, p *packet.Packet) bool {
	c := &e.index.classes[class]
	if p.Port.Proto == packet.TCP && !c.flags.Admits(p.Flags) {
		return false
	}
	if c.target.IsValid() {
		return c.target == p.Dst
	}
	_, ok := e.own[p.Dst]
	return ok
}

// counts reports whether some door lists the port and admits the packet.
func (e *Engine) counts(info *portInfo, p *packet.Packet) bool {
	if info.count > 0 && e.admits(info.class, p) {
		return true
	}
	if info.extra == nil {
		return false
	}
	for _, c := range info.extra.classes {
		if c.count > 0 && e.admits(c.class, p) {
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
