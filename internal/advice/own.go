package advice

import (
	"net"
	"net/netip"
)

// familiesInUse are those that this machine has addresses of, beside loopback and those of one link alone; both where it has
// none yet.
func familiesInUse() []byte {
	both := []byte{ipv4, ipv6}
	list, err := net.InterfaceAddrs()
	if err != nil {
		return both
	}
	has := map[bool]bool{} // by whether it is of IPv4
	for _, a := range list {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().IsGlobalUnicast() {
			has[prefix.Addr().Is4()] = true
		}
	}
	switch {
	case has[true] && !has[false]:
		return both[:1]
	case has[false] && !has[true]:
		return both[1:]
	default:
		return both
	}
}

// isOwn reports whether an address is this machine's. If that can't be told it is.
func isOwn(addr netip.Addr) bool {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	for _, a := range list {
		prefix, err := netip.ParsePrefix(a.String())
		if err == nil && prefix.Addr().Unmap().WithZone("") == addr {
			return true
		}
	}
	return false
}
