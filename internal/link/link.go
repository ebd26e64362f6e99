// Package link follows the network interfaces of the machine, their addresses and the default route, through
// rtnetlink(7).
//
// It only observes. Which interfaces the daemon listens on, and what it says about them, belongs to package daemon;
// sockets on them, to package capture.
package link

import "net/netip"

// State is the interfaces as they are at one moment.
type State struct {
	// Links are sorted by index.
	Links []Link
	// DefaultRoute is the name of the interface of the default route: of the IPv4 one with the lowest metric in the
	// main table, else of the IPv6 one; empty if there is none.
	DefaultRoute string
}

// Link is one interface.
type Link struct {
	// Index is above 0 and belongs to one interface at a time; one that is deleted and made again mostly gets another.
	Index int
	Name  string
	// Up means that packets can come in: it is set up and has its carrier (IFF_UP and IFF_RUNNING of netdevice(7)).
	Up bool
	// MTU is in bytes, from the IP header on.
	MTU int
	// Addrs are its own addresses, sorted and without zones, also those whose uniqueness is still being checked, but
	// not those that were found to be taken (IFA_F_DADFAILED).
	Addrs []netip.Addr
	// Loopback is set for lo.
	Loopback bool
}
