package client

import (
	"math/bits"
	"net"
	"net/netip"
)

// prefer returns the address of a host that getaddrinfo(3) of the GNU C library puts first, since that is where ssh and
// the reference's knock go: a knock from an IPv4 address opens nothing for an IPv6 connection. addrs are in Go's order,
// which is RFC 6724's as well; two differences were seen (glibc 2.36):
//   - unique local IPv6 addresses come before IPv4, not after it, if our own address towards them is such a one;
//   - among IPv4 addresses, one in a network that this machine is in comes first, and there the most similar one.
func prefer(addrs []netip.Addr) netip.Addr {
	best := addrs[0]
	if best.Is6() || len(addrs) == 1 {
		return best
	}
	common := -1
	for _, a := range addrs {
		from := sourceFor(a)
		switch {
		case a.Is6() && uniqueLocal(a) && uniqueLocal(from):
			return a
		case a.Is4() && similar(a, from) > common:
			best, common = a, similar(a, from)
		}
	}
	return best
}

// uniqueLocal reports whether an address is in fc00::/7 (RFC 4193).
func uniqueLocal(a netip.Addr) bool { return a.Is6() && a.IsPrivate() }

// sourceFor is the address that the kernel would send from, the zero Addr if there is no route. Nothing is sent.
func sourceFor(to netip.Addr) netip.Addr {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9)))
	if err != nil {
		return netip.Addr{}
	}
	defer func() { _ = c.Close() }()
	from, _ := c.LocalAddr().(*net.UDPAddr)
	return from.AddrPort().Addr().Unmap()
}

// similar is the number of leading bits that two IPv4 addresses of one network share: 0 if they are in none.
func similar(to, from netip.Addr) int {
	if !from.Is4() || !network(from).Contains(to) {
		return 0
	}
	var differ uint32
	for i, b := range to.As4() {
		differ = differ<<8 | uint32(b^from.As4()[i])
	}
	return bits.LeadingZeros32(differ)
}

// network is that of an address of this machine, the zero Prefix if it is none.
func network(own netip.Addr) netip.Prefix {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Prefix{}
	}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().Unmap() == own {
			return p
		}
	}
	return netip.Prefix{}
}
