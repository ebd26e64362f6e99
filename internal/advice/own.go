package advice

import (
	"net"
	"net/netip"
)

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
