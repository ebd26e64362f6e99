package daemon

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"
)

// names looks host names up for --lookup, where the log is written and never in the loop.
type names struct {
	lookup func(ctx context.Context, ip string) ([]string, error)
	known  map[netip.Addr]string
}

// The bounds of --lookup: a name server that is slow delays lines by no more than the time-out each, and a flood of
// strangers fills no memory.
const (
	lookupTimeout = time.Second
	namesKnown    = 4096
)

func newNames() *names {
	return &names{lookup: net.DefaultResolver.LookupAddr, known: map[netip.Addr]string{}}
}

// of returns "IP (HOST)", or the IP alone where it has no name.
func (n *names) of(ctx context.Context, ip netip.Addr) string {
	host, ok := n.known[ip]
	if !ok {
		ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
		defer cancel()
		if hosts, err := n.lookup(ctx, ip.String()); err == nil && len(hosts) > 0 {
			host = strings.TrimSuffix(hosts[0], ".")
		}
		if len(n.known) >= namesKnown {
			clear(n.known)
		}
		n.known[ip] = host
	}
	if host == "" {
		return ip.String()
	}
	return ip.String() + " (" + host + ")"
}
