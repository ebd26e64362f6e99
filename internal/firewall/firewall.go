// Package firewall is the native doors: what is hidden and who is let in, as nftables over netlink. It runs no program
// and writes no file.
//
// Firewall is the small interface; Kernel is the real thing and Fake stands beside it, and one test body holds both to
// the same behaviour. When to grant belongs to package daemon.
package firewall

import (
	"context"
	"net/netip"
	"time"

	"knockd/internal/config"
)

// Door is what the firewall knows of a native door.
type Door struct {
	// Name identifies the door across reloads and restarts.
	Name string
	// Ports are what it hides and opens; empty for a door with sets of the user's.
	Ports []config.PortRange
	Hide  config.Hide
	// Admit4 and Admit6 are the prefix lengths of a grant, 16 to 32 and 40 to 128.
	Admit4, Admit6 int
	// MaxOpen bounds the grants.
	MaxOpen int
	// Set4 and Set6 name sets of the user's own, nil where our table is used.
	Set4, Set6 *config.SetRef
}

// Rules is everything the table is to say.
type Rules struct {
	Doors                 []Door
	AlwaysAllow           []netip.Prefix
	AlwaysAllowInterfaces []string
	// Lease is for how long the ports stay hidden unless Renew is called; 0: for ever.
	Lease time.Duration
	// Fresh drops the grants that are found in the kernel: those of an earlier boot are not ours.
	Fresh bool
}

// Grant is one source that is let in.
type Grant struct {
	Door string
	// Prefix is the host or the network admitted.
	Prefix netip.Prefix
	// Left is the time that remains.
	Left time.Duration
}

// Firewall hides ports and lets sources in. Its methods are called from one goroutine at a time and block until the
// kernel has answered.
type Firewall interface {
	// Install makes the table say exactly r, keeping the grants of doors that stand in both (with the ports that
	// they had: a grant never moves to other ports) with their remaining time, and adding those of restore that are
	// not found. At no moment is a port shown that is hidden before and after.
	Install(ctx context.Context, r Rules, restore []Grant) error
	// Grant lets the source in for d from now on, extending a grant that is there; it never shortens one. It fails
	// with ErrFull if the door has MaxOpen grants, ErrNoDoor if there is none of that name, and an error for which
	// IsLost is true if somebody took the table away.
	Grant(ctx context.Context, door string, ip netip.Addr, d time.Duration) error
	// Revoke ends a grant; that there is none is no error.
	Revoke(ctx context.Context, door string, ip netip.Addr) error
	// List returns the grants, in no order.
	List(ctx context.Context) ([]Grant, error)
	// Renew pushes the lease's end to Lease from now.
	Renew(ctx context.Context) error
	// Remove takes the table away: every port is shown.
	Remove(ctx context.Context) error
}
