package client

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// Family says which addresses of a host may be used.
type Family int

// The families, named as net.Resolver names them by Network.
const (
	Any Family = iota
	IPv4
	IPv6
)

// Network is "ip", "ip4" or "ip6".
func (f Family) Network() string { return [...]string{"ip", "ip4", "ip6"}[f] }

// admits reports whether an address is of the family.
func (f Family) admits(a netip.Addr) bool {
	return f == Any || a.Is4() == (f == IPv4)
}

// familyOf is the family of an address, Any for the zero address.
func familyOf(a netip.Addr) Family {
	switch {
	case !a.IsValid():
		return Any
	case a.Is4():
		return IPv4
	}
	return IPv6
}

// Resolve returns the address to knock at: the host itself if it is an address, else the address of that family
// that the system prefers. It is asked once a knock, so that a name with several addresses cannot split one.
func Resolve(ctx context.Context, host string, family Family) (netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		a = a.Unmap()
		if !family.admits(a) {
			return netip.Addr{}, errors.New("the address is not of the address family asked for")
		}
		return a, nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, family.Network(), host)
	if err != nil {
		return netip.Addr{}, err
	}
	fit := addrs[:0]
	for _, a := range addrs {
		if a = a.Unmap(); family.admits(a) {
			fit = append(fit, a)
		}
	}
	if len(fit) == 0 {
		return netip.Addr{}, errors.New("no address of the address family asked for")
	}
	return prefer(fit), nil
}
