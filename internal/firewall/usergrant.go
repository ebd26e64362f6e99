package firewall

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/config"
)

// edges are a prefix as elements: one, or where the set has intervals its first address and the one behind its last.
func (u *userSet) edges(p netip.Prefix, timeout time.Duration) []element {
	list := []element{{key: keyOf(p.Addr()), timeout: timeout}}
	if behind := lastOf(p).Next(); u.interval && behind.IsValid() {
		list = append(list, element{key: keyOf(behind), end: true})
	}
	return list
}

// grantInSet lets the source in by a set of the user's. What the user put there without a timeout, or for longer, is
// left alone.
func (k *Kernel) grantInSet(ctx context.Context, d *door, ip netip.Addr, length time.Duration) error {
	ref := d.refFor(ip)
	if ref == nil {
		return fmt.Errorf("the door has no set for addresses like %s", ip)
	}
	u, err := k.userSet(ctx, d.Door, *ref, ip.Is6())
	if err != nil {
		return err
	}
	p := d.prefix(ip)
	there, err := k.admitting(ctx, u, p)
	if err != nil || slices.ContainsFunc(there, func(e userElement) bool { return e.admits(p, length) }) {
		return err
	}
	if err := k.roomInSet(ctx, d, u, p); err != nil {
		return err
	}
	if err := k.replace(ctx, u.place, u.edges(p, length)); err != nil {
		return err
	}
	d.remember(p, k.now()+length)
	return nil
}

// remember counts a grant in a set of the user's.
func (d *door) remember(p netip.Prefix, until time.Duration) {
	if d.inSets == nil {
		d.inSets = map[netip.Prefix]time.Duration{}
	}
	d.inSets[p] = until
}

// admitting are the elements that may admit a prefix already: in a hash set that is one.
func (k *Kernel) admitting(ctx context.Context, u userSet, p netip.Prefix) ([]userElement, error) {
	if u.interval {
		return k.userElements(ctx, u)
	}
	body := begin(u.family, 0).text(unix.NFTA_SET_ELEM_LIST_TABLE, u.table).text(unix.NFTA_SET_ELEM_LIST_SET, u.set)
	body, at := body.open(unix.NFTA_SET_ELEM_LIST_ELEMENTS)
	body = body.element(element{key: keyOf(p.Addr())}, false).end(at)
	answers, err := k.socket.request(ctx, message(unix.NFT_MSG_GETSETELEM, 0, body))
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	return prefixes(elementsOf(answers), false), err
}

// admits reports whether the element lets the prefix in for that long.
func (e *userElement) admits(p netip.Prefix, length time.Duration) bool {
	return e.prefix.Bits() <= p.Bits() && e.prefix.Contains(p.Addr()) && (!e.timed || e.left >= length)
}

// roomInSet makes sure that the door may have one grant more in its sets. It is the set's elements with a timeout that
// count, whoever put them there.
func (k *Kernel) roomInSet(ctx context.Context, d *door, u userSet, p netip.Prefix) error {
	now := k.now()
	maps.DeleteFunc(d.inSets, func(_ netip.Prefix, until time.Duration) bool { return until <= now })
	if _, extends := d.inSets[p]; extends || d.MaxOpen <= 0 || len(d.inSets) < d.MaxOpen {
		return nil
	}
	if err := k.count(ctx, d, u); err != nil {
		return err
	}
	if len(d.inSets) < d.MaxOpen {
		return nil
	}
	return ErrFull
}

// count takes the set's elements for the door's grants of that family.
func (k *Kernel) count(ctx context.Context, d *door, u userSet) error {
	there, err := k.userElements(ctx, u)
	if err != nil {
		return err
	}
	maps.DeleteFunc(d.inSets, func(p netip.Prefix, _ time.Duration) bool { return p.Addr().Is6() == u.v6 })
	for _, e := range there {
		if e.timed && e.left > 0 {
			d.remember(e.prefix, k.now()+e.left)
		}
	}
	return nil
}

func (k *Kernel) revokeInSet(ctx context.Context, d *door, ip netip.Addr) error {
	ref := d.refFor(ip)
	if ref == nil {
		return nil
	}
	u, err := k.userSet(ctx, d.Door, *ref, ip.Is6())
	if err != nil {
		return err
	}
	p := d.prefix(ip)
	there, err := k.admitting(ctx, u, p)
	if err != nil {
		return err
	}
	delete(d.inSets, p)
	for _, e := range there {
		if e.prefix == p && e.timed {
			err := k.socket.transact(ctx, delElements(u.place, u.edges(p, 0))...)
			if errors.Is(err, unix.ENOENT) {
				return nil // expired meanwhile
			}
			return err
		}
	}
	return nil
}

// userElement is an element of a user's set that is a prefix.
type userElement struct {
	prefix netip.Prefix
	timed  bool
	left   time.Duration
}

// userElements lists the elements of a user's set.
func (k *Kernel) userElements(ctx context.Context, u userSet) ([]userElement, error) {
	elements, err := k.socket.elements(ctx, u.place)
	return prefixes(elements, u.interval), err
}

// prefixes puts elements together again; ranges that are no prefix are left out.
func prefixes(elements []found, interval bool) []userElement {
	var list []userElement
	sortEdges(elements)
	for i, e := range elements {
		first, ok := netip.AddrFromSlice(e.key)
		if !ok || e.end {
			continue
		}
		var behind netip.Addr
		switch {
		case !interval:
			behind = first.Next()
		case i+1 < len(elements):
			behind, _ = netip.AddrFromSlice(elements[i+1].key)
		}
		if p, ok := prefixBetween(first, behind); ok {
			list = append(list, userElement{prefix: p, timed: e.timed, left: e.left})
		}
	}
	return list
}

// prefixBetween is the prefix from first up to, and not including, behind, which is invalid behind the last address.
func prefixBetween(first, behind netip.Addr) (netip.Prefix, bool) {
	for bits := first.BitLen(); bits >= 0; bits-- {
		p := netip.PrefixFrom(first, bits)
		if p.Masked().Addr() != first {
			return netip.Prefix{}, false
		}
		if lastOf(p).Next() == behind {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

// eachSet calls do for the sets of the user's that are there and right; Check says what is wrong with the others.
func (k *Kernel) eachSet(ctx context.Context, do func(*door, userSet) error) {
	for _, d := range k.doors {
		for v6, ref := range map[bool]*config.SetRef{false: d.Set4, true: d.Set6} {
			if ref == nil || d.v4 != nil {
				continue
			}
			if u, err := k.userSet(ctx, d.Door, *ref, v6); err == nil {
				_ = do(d, u)
			}
		}
	}
}

// inSets lists the grants in the sets of the user's.
func (k *Kernel) inSets(ctx context.Context) []Grant {
	var list []Grant
	k.eachSet(ctx, func(d *door, u userSet) error {
		there, err := k.userElements(ctx, u)
		for _, e := range there {
			if e.timed && e.left > 0 {
				list = append(list, Grant{Door: d.Name, Prefix: e.prefix, Left: e.left})
			}
		}
		return err
	})
	return list
}

// restoreSets gives back what was granted in sets of the user's. That one is missing is no reason to leave ports shown.
func (k *Kernel) restoreSets(ctx context.Context, restore []Grant, asked time.Duration) {
	k.eachSet(ctx, func(d *door, u userSet) error {
		there, err := k.userElements(ctx, u)
		if err != nil {
			return err
		}
		for chunk := range slices.Chunk(k.missing(d, u, there, restore, asked), elementsMost/2) {
			var edges []element
			for _, g := range chunk {
				edges = append(edges, u.edges(g.Prefix, g.Left)...)
			}
			if err := k.replace(ctx, u.place, edges); err != nil {
				return err
			}
		}
		return k.count(ctx, d, u)
	})
}

// missing are the grants of a door that its set does not hold.
func (k *Kernel) missing(d *door, u userSet, there []userElement, restore []Grant, asked time.Duration) []Grant {
	var list []Grant
	for _, g := range restore {
		g.Left -= k.now() - asked
		p := g.Prefix.Masked()
		if g.Door != d.Name || !p.IsValid() || p.Addr().Is6() != u.v6 || p.Bits() != u.bits || g.Left <= 0 {
			continue
		}
		if !slices.ContainsFunc(there, func(e userElement) bool { return e.prefix.Contains(p.Addr()) }) {
			list = append(list, Grant{Door: g.Door, Prefix: p, Left: g.Left})
		}
	}
	return list
}
