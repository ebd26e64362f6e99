package firewall

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/config"
	"knockd/internal/packet"
)

// List returns the grants, in no order: those of the table, whoever installed it, and the elements with a timeout of
// the sets of the user's own. A set of the user's that is missing has none.
func (k *Kernel) List(ctx context.Context) ([]Grant, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	cells, err := k.listed(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the grants: %w", err)
	}
	return append(grantsOf(cells, k.now()), k.inSets(ctx)...), nil
}

func (k *Kernel) listed(ctx context.Context) ([]*cell, error) {
	if k.g > 0 {
		return k.refresh(ctx)
	}
	st, err := k.socket.read(ctx)
	if err != nil {
		return nil, err
	}
	current, _ := st.newest()
	if current == 0 {
		return nil, nil
	}
	return k.socket.cells(ctx, &st, current, k.now)
}

// grantsOf are the grants of all cells; one that stands in several, for different ports, counts once, with the time of
// the longest.
func grantsOf(cells []*cell, now time.Duration) []Grant {
	type grantee struct {
		door   string
		prefix netip.Prefix
	}
	left := map[grantee]time.Duration{}
	for _, c := range cells {
		for p, until := range c.until {
			if until > now {
				who := grantee{c.door, p}
				left[who] = max(left[who], until-now)
			}
		}
	}
	list := make([]Grant, 0, len(left))
	for who, d := range left {
		list = append(list, Grant{Door: who.door, Prefix: who.prefix, Left: d})
	}
	return list
}

// Hidden returns the ports that are hidden now, by whoever installed the table, in order. A door that only rehearses
// hides nothing, and with the lease run out nothing is hidden.
func (k *Kernel) Hidden(ctx context.Context) ([]config.PortRange, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	hidden, err := k.hidden(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading which ports are hidden: %w", err)
	}
	return normal(hidden), nil
}

func (k *Kernel) hidden(ctx context.Context) ([]config.PortRange, error) {
	st, err := k.socket.read(ctx)
	if err != nil {
		return nil, err
	}
	g, _ := st.newest()
	if g == 0 {
		return nil, nil
	}
	lease, err := k.socket.elements(ctx, ours(g.name(leaseName)))
	if err != nil {
		return nil, err
	}
	var hidden []config.PortRange
	for _, e := range lease {
		if len(e.key) != 1 {
			continue
		}
		proto := packet.Proto(e.key[0])
		ports, err := k.socket.elements(ctx, ours(g.name(portsName(proto))))
		if err != nil {
			return nil, err
		}
		hidden = append(hidden, rangesOf(ports, proto)...)
	}
	return hidden, nil
}

// rangesOf puts the edges of a map of ports together again. An edge that ends a range stands before one that begins
// another at the same port.
func rangesOf(edges []found, proto packet.Proto) []config.PortRange {
	sortEdges(edges)
	var list []config.PortRange
	for i, e := range edges {
		_, chain := generationOf(e.chain)
		if e.end || len(e.key) != 2 || !strings.HasPrefix(chain, hidePrefix) {
			continue
		}
		r := config.PortRange{Proto: proto, First: number(e.key), Last: 65535}
		if i+1 < len(edges) {
			r.Last = number(edges[i+1].key) - 1
		}
		list = append(list, r)
	}
	return list
}

// sortEdges brings the edges of intervals into order.
func sortEdges(edges []found) {
	slices.SortStableFunc(edges, func(a, b found) int {
		if c := slices.Compare(a.key, b.key); c != 0 || a.end == b.end {
			return c
		}
		if a.end {
			return -1
		}
		return 1
	})
}

func number(key []byte) uint16 { return uint16(key[0])<<8 | uint16(key[1]) }

// families are nft's words for the families.
var families = map[string]byte{
	"ip": unix.NFPROTO_IPV4, "ip6": unix.NFPROTO_IPV6, "inet": unix.NFPROTO_INET,
	"bridge": unix.NFPROTO_BRIDGE, "arp": unix.NFPROTO_ARP, "netdev": unix.NFPROTO_NETDEV,
}
