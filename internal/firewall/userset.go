package firewall

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

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
