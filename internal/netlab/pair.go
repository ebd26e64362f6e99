package netlab

import (
	"errors"
	"net"
	"net/netip"
)

// Interface is the name of the interface on both sides of a Pair.
const Interface = "eth0"

// Pair is a server and a client, each in a namespace of its own, joined by a veth pair named Interface on both sides.
type Pair struct {
	Server, Client *Namespace
	// Addresses: IPv4 in 10.0.0.0/16, so that many clients fit, and IPv6 in fd00::/64.
	Server4, Server6, Client4, Client6 netip.Addr
	ServerMAC, ClientMAC               net.HardwareAddr
}

// NewPair makes a Pair: both sides up, addresses and permanent neighbours set, and the client the server's default
// route, so that answers to forged sources leave too.
func NewPair() (*Pair, error) {
	p := &Pair{
		Server4: netip.MustParseAddr("10.0.0.1"), Server6: netip.MustParseAddr("fd00::1"),
		Client4: netip.MustParseAddr("10.0.0.2"), Client6: netip.MustParseAddr("fd00::2"),
	}
	if err := p.build(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Pair) build() (err error) {
	if p.Server, err = New(); err != nil {
		return err
	}
	if p.Client, err = New(); err != nil {
		return err
	}
	if err = Veth(p.Server, Interface, p.Client, Interface); err != nil {
		return err
	}
	if p.ServerMAC, err = HardwareAddr(p.Server, Interface); err != nil {
		return err
	}
	if p.ClientMAC, err = HardwareAddr(p.Client, Interface); err != nil {
		return err
	}
	server := []netip.Addr{p.Server4, p.Server6}
	client := []netip.Addr{p.Client4, p.Client6}
	if err = up(p.Server, server); err != nil {
		return err
	}
	if err = up(p.Client, client); err != nil {
		return err
	}
	return p.connect(server, client)
}

// up sets one side up with its addresses.
func up(n *Namespace, addrs []netip.Addr) error {
	if err := SetUp(n, Interface); err != nil {
		return err
	}
	for _, a := range addrs {
		bits := 64
		if a.Is4() {
			bits = 16
		}
		if err := AddAddr(n, Interface, netip.PrefixFrom(a, bits)); err != nil {
			return err
		}
	}
	return nil
}

func (p *Pair) connect(server, client []netip.Addr) error {
	for i := range server {
		if err := AddNeighbour(p.Client, Interface, server[i], p.ServerMAC); err != nil {
			return err
		}
		if err := AddNeighbour(p.Server, Interface, client[i], p.ClientMAC); err != nil {
			return err
		}
		all := netip.PrefixFrom(client[i], 0).Masked()
		if err := AddRoute(p.Server, Interface, all, client[i]); err != nil {
			return err
		}
	}
	return errors.Join(WaitUp(p.Server, Interface), WaitUp(p.Client, Interface))
}

// Close ends both namespaces.
func (p *Pair) Close() error {
	var errs []error
	for _, n := range []*Namespace{p.Server, p.Client} {
		if n != nil {
			errs = append(errs, n.Close())
		}
	}
	return errors.Join(errs...)
}
