package firewall

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/config"
)

// userSet is a set of the user's own, checked.
type userSet struct {
	place
	interval bool
	bits     int
	v6       bool
}

// refFor is the set of the door for an address, nil if it has none.
func (d *door) refFor(ip netip.Addr) *config.SetRef {
	if ip.Is4() {
		return d.Set4
	}
	return d.Set6
}

// userSet looks the set up and checks that it can take the door's grants.
func (k *Kernel) userSet(ctx context.Context, d Door, ref config.SetRef, v6 bool) (userSet, error) {
	u := userSet{place: place{families[ref.Family], ref.Table, ref.Set}, bits: d.Admit4, v6: v6}
	if v6 {
		u.bits = d.Admit6
	}
	u.interval = u.bits < addressBits(v6)
	if u.family == 0 {
		return u, &SetError{Door: d.Name, Set: ref, Problem: "is of no family that nftables knows (ip, ip6, inet, bridge, arp, netdev)"}
	}
	sets, err := k.socket.readSets(ctx, u.family, u.table)
	if err != nil {
		return u, u.missing(d.Name, ref, err)
	}
	i := slices.IndexFunc(sets, func(s setFound) bool { return s.set == u.set && s.family == u.family })
	if i < 0 {
		return u, &SetError{Door: d.Name, Set: ref, Problem: "does not exist", Remedy: u.command(ref), Err: errLost}
	}
	if problem := u.problem(sets[i]); problem != "" {
		return u, &SetError{
			Door: d.Name, Set: ref, Problem: problem,
			Remedy: fmt.Sprintf("nft delete set %s && %s", setName(ref), u.command(ref)),
		}
	}
	u.interval = sets[i].flags&unix.NFT_SET_INTERVAL != 0
	return u, nil
}

func addressBits(v6 bool) int {
	if v6 {
		return 128
	}
	return 32
}

func (u *userSet) typeName() string {
	if u.v6 {
		return "ipv6_addr"
	}
	return "ipv4_addr"
}

// command is what makes the set right.
func (u *userSet) command(ref config.SetRef) string {
	flags := "timeout"
	if u.interval {
		flags += ",interval"
	}
	return fmt.Sprintf("nft add set %s '{ type %s; flags %s; }'", setName(ref), u.typeName(), flags)
}

func (u *userSet) missing(door string, ref config.SetRef, err error) error {
	if !IsLost(err) {
		return err
	}
	return &SetError{
		Door: door, Set: ref, Problem: "does not exist: there is no such table",
		Remedy: fmt.Sprintf("nft add table %s %s && %s", ref.Family, ref.Table, u.command(ref)), Err: errLost,
	}
}

// problem says what is wrong with the set as it is, empty for nothing.
func (u *userSet) problem(s setFound) string {
	want := keyIPv4
	if u.v6 {
		want = keyIPv6
	}
	switch {
	case s.flags&unix.NFT_SET_MAP != 0:
		return "is a map"
	case s.keyType != want.id:
		return "is not of the type " + u.typeName()
	case s.flags&unix.NFT_SET_CONSTANT != 0:
		return "is constant"
	case s.flags&unix.NFT_SET_TIMEOUT == 0:
		return "lacks the flag timeout"
	case u.interval && s.flags&unix.NFT_SET_INTERVAL == 0:
		return fmt.Sprintf("lacks the flag interval, which Admit = /%d needs", u.bits)
	}
	return ""
}

// Check looks at the sets of the user's that the rules name: they exist and have the right type and flags. The errors
// are *SetError for what is wrong with a set.
func (k *Kernel) Check(ctx context.Context, r Rules) []error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var wrong []error
	for _, d := range r.Doors {
		for v6, ref := range map[bool]*config.SetRef{false: d.Set4, true: d.Set6} {
			if ref == nil {
				continue
			}
			if _, err := k.userSet(ctx, d, *ref, v6); err != nil {
				wrong = append(wrong, err)
			}
		}
	}
	slices.SortFunc(wrong, func(a, b error) int { return compareText(a.Error(), b.Error()) })
	return wrong
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

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
	there, err := k.userElements(ctx, u)
	if err != nil {
		return err
	}
	p := d.prefix(ip)
	for _, e := range there {
		if e.prefix.Bits() <= p.Bits() && e.prefix.Contains(p.Addr()) && (!e.timed || e.left >= length) {
			return nil
		}
	}
	if open := countTimed(there, p); d.MaxOpen > 0 && open >= d.MaxOpen {
		return ErrFull
	}
	return k.replace(ctx, u.place, u.edges(p, length))
}

// countTimed counts the elements with a timeout but for p itself.
func countTimed(there []userElement, p netip.Prefix) int {
	n := 0
	for _, e := range there {
		if e.timed && e.prefix != p {
			n++
		}
	}
	return n
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
	there, err := k.userElements(ctx, u)
	if err != nil {
		return err
	}
	p := d.prefix(ip)
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

// userElements lists the elements of a user's set; ranges that are no prefix are left out.
func (k *Kernel) userElements(ctx context.Context, u userSet) ([]userElement, error) {
	elements, err := k.socket.elements(ctx, u.place)
	if err != nil {
		return nil, err
	}
	var list []userElement
	sortEdges(elements)
	for i, e := range elements {
		first, ok := netip.AddrFromSlice(e.key)
		if !ok || e.end {
			continue
		}
		var behind netip.Addr
		switch {
		case !u.interval:
			behind = first.Next()
		case i+1 < len(elements):
			behind, _ = netip.AddrFromSlice(elements[i+1].key)
		}
		if p, ok := prefixBetween(first, behind); ok {
			list = append(list, userElement{prefix: p, timed: e.timed, left: e.left})
		}
	}
	return list, nil
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

// inSets lists the grants in the sets of the user's.
func (k *Kernel) inSets(ctx context.Context) []Grant {
	var list []Grant
	for _, d := range k.doors {
		for v6, ref := range map[bool]*config.SetRef{false: d.Set4, true: d.Set6} {
			if ref == nil || d.v4 != nil {
				continue
			}
			u, err := k.userSet(ctx, d.Door, *ref, v6)
			if err != nil {
				continue // Check says it
			}
			there, err := k.userElements(ctx, u)
			if err != nil {
				continue
			}
			for _, e := range there {
				if e.timed && e.left > 0 {
					list = append(list, Grant{Door: d.Name, Prefix: e.prefix, Left: e.left})
				}
			}
		}
	}
	return list
}

// restoreSets gives back what was granted in sets of the user's. A set that is missing is for Check to say, and no
// reason to leave ports shown.
func (k *Kernel) restoreSets(ctx context.Context, restore []Grant, asked time.Duration) {
	for _, g := range restore {
		d := k.doors[g.Door]
		left := g.Left - (k.now() - asked)
		if d == nil || d.v4 != nil || !g.Prefix.IsValid() || left <= 0 {
			continue
		}
		if d.prefix(g.Prefix.Addr()) == g.Prefix.Masked() {
			_ = k.grantInSet(ctx, d, g.Prefix.Addr(), left)
		}
	}
}
