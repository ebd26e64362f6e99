package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"runtime"
	"slices"
	"time"

	"knockd/internal/failpoint"
	"knockd/internal/firewall"
)

// grants is what the daemon remembers of who is let in: the kernel's sets are the truth, this is what they are filled
// from after somebody flushed them.
type grants struct {
	until map[granted]time.Duration
}

type granted struct {
	door   string
	prefix netip.Prefix
}

func newGrants() grants { return grants{until: map[granted]time.Duration{}} }

// adopt takes over what an earlier run granted.
func (g *grants) adopt(found []firewall.Grant, now time.Duration) {
	for _, f := range found {
		g.until[granted{f.Door, f.Prefix}] = now + f.Left
	}
}

// pruneAt is the size from which on expired memories are looked for before one is added.
const pruneAt = 8192

func (g *grants) add(key granted, until, now time.Duration) {
	if len(g.until) >= pruneAt {
		g.remembered(now)
	}
	g.until[key] = until
}

// keep forgets the grants of doors that are no more, or that open something else now: a grant never moves to other ports.
// (Where the kernel keeps such a grant for its old ports, a flush of the ruleset ends it: closed rather than open.)
func (g *grants) keep(old, next firewall.Rules) {
	stays := map[string]bool{}
	for _, d := range next.Doors {
		i := slices.IndexFunc(old.Doors, func(o firewall.Door) bool { return o.Name == d.Name })
		stays[d.Name] = i >= 0 && reflect.DeepEqual(opened(old.Doors[i]), opened(d))
	}
	for key := range g.until {
		if !stays[key.door] {
			delete(g.until, key)
		}
	}
}

// opened is what of a door decides to what its grants let in, and whom.
func opened(d firewall.Door) firewall.Door {
	d.Hide, d.MaxOpen = 0, 0
	return d
}

// remembered are the grants that have time left.
func (g *grants) remembered(now time.Duration) []firewall.Grant {
	var list []firewall.Grant
	for key, until := range g.until {
		if until <= now {
			delete(g.until, key)
			continue
		}
		list = append(list, firewall.Grant{Door: key.door, Prefix: key.prefix, Left: until - now})
	}
	return list
}

// shorten takes the time that passed since a list was made off it.
func shorten(list []firewall.Grant, by time.Duration) []firewall.Grant {
	var left []firewall.Grant
	for _, g := range list {
		if g.Left -= by; g.Left > 0 {
			left = append(left, g)
		}
	}
	return left
}

// admitted is what a door grants to a source: the host, or the network around it.
func admitted(door *door, ip netip.Addr) netip.Prefix {
	bits := door.Admit4
	if ip.Is6() {
		bits = door.Admit6
	}
	return netip.PrefixFrom(ip.WithZone(""), bits).Masked()
}

// grant lets ip in at a native door; then is called with the outcome and may be nil.
func (d *Daemon) grant(door *door, ip netip.Addr, length time.Duration, then func(error)) {
	if then == nil {
		then = func(error) {}
	}
	n, name, what := d.native, door.Name, opens(door)
	if n.fw == nil || n.unhidden {
		then(d.sayGrant(name, what, ip, length, errNotHidden))
		return
	}
	key := granted{name, admitted(door, ip)}
	before, until := n.grants.until[key], d.clock.Now()+length
	n.grants.add(key, max(before, until), d.clock.Now())
	d.watchEnd(until)
	fw := n.fw
	ok := n.work.submit(
		func(ctx context.Context) error {
			failpoint.Hit("before the grant")
			err := fw.Grant(ctx, name, ip, length)
			failpoint.Hit("behind the grant")
			return err
		},
		func(err error) { d.wasGranted(key, before, err); then(d.sayGrant(name, what, ip, length, err)) })
	if !ok {
		n.grants.until[key] = before
		d.say.about(ip, name+": not opened: too many grants at once")
		then(errBusy)
		return
	}
	runtime.Gosched() // the firewall goes first
}

// wasGranted takes the memory back where the kernel refused; one that was refused for want of the table comes with
// the table.
func (d *Daemon) wasGranted(key granted, before time.Duration, err error) {
	n := d.native
	switch {
	case err == nil:
		n.knockedAt = d.clock.Now()
	case firewall.IsLost(err):
		d.restore()
	case before == 0:
		delete(n.grants.until, key)
	default:
		n.grants.until[key] = before
	}
}

func (d *Daemon) sayGrant(name, what string, ip netip.Addr, length time.Duration, err error) error {
	if err != nil {
		d.say.about(ip, fmt.Sprintf("%s: not opened: %v", name, err))
		return err
	}
	d.say.about(ip, fmt.Sprintf("%s: %s open for %s", name, what, length))
	return nil
}

// revoke ends a grant.
func (d *Daemon) revoke(door *door, ip netip.Addr, then func(error)) {
	n, name := d.native, door.Name
	if n.fw == nil || n.unhidden {
		then(errNotHidden)
		return
	}
	delete(n.grants.until, granted{name, admitted(door, ip)})
	fw := n.fw
	d.firewallWork("closing "+name, func(ctx context.Context) error { return fw.Revoke(ctx, name, ip) }, func(err error) {
		if err == nil {
			d.say.about(ip, name+": closed by hand")
		}
		then(err)
	})
}
