package firewall

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"knockd/internal/boottime"
	"knockd/internal/config"
)

// Fake is a Firewall without a kernel, for tests of what uses one. One test body holds it and Kernel to the same
// behaviour. It has every set of the user's that a door names, empty at first.
type Fake struct {
	clock boottime.Clock
	rules Rules
	doors map[string]*door
	// sets are the sets of the user's, as cells without ports.
	sets map[config.SetRef]*cell
	// hiddenUntil is the lease's end, 0 for none.
	hiddenUntil time.Duration
}

var _ Firewall = (*Fake)(nil)

// NewFake returns a Fake whose grants and lease run out by the clock.
func NewFake(clock boottime.Clock) *Fake {
	return &Fake{clock: clock, doors: map[string]*door{}, sets: map[config.SetRef]*cell{}}
}

// Install makes the table say exactly r. See Firewall.
func (f *Fake) Install(_ context.Context, r Rules, restore []Grant) error {
	if err := validate(r); err != nil {
		return fmt.Errorf("installing the table inet knockd: %w", err)
	}
	now := f.clock.Now()
	var old []*cell
	for _, d := range f.doors {
		if !r.Fresh {
			old = append(old, d.cells()...)
		}
	}
	doors := doorsOf(r)
	carry(doors, old, now)
	give(doors, restore, now)
	f.rules, f.doors = r, map[string]*door{}
	for _, d := range doors {
		f.doors[d.Name] = d
	}
	f.renew()
	return f.restoreSets(restore)
}

func (f *Fake) restoreSets(restore []Grant) error {
	for _, g := range restore {
		if d := f.doors[g.Door]; d != nil && d.v4 == nil {
			if err := f.grant(g.Door, g.Prefix.Addr(), g.Left); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *Fake) renew() {
	f.hiddenUntil = 0
	if f.rules.Lease > 0 {
		f.hiddenUntil = f.clock.Now() + f.rules.Lease
	}
}

// Grant lets the source in. See Firewall.
func (f *Fake) Grant(_ context.Context, name string, ip netip.Addr, d time.Duration) error {
	if err := f.grant(name, plain(ip), d); err != nil {
		return fmt.Errorf("granting %s to %s: %w", name, ip, err)
	}
	return nil
}

func (f *Fake) grant(name string, ip netip.Addr, d time.Duration) error {
	door, now := f.doors[name], f.clock.Now()
	if door == nil {
		return ErrNoDoor
	}
	c := f.cellOf(door, ip)
	if c == nil {
		return fmt.Errorf("the door has no set for addresses like %s", ip)
	}
	p := door.prefix(ip)
	open := door.open(now)
	if door.v4 == nil {
		open = c.expire(now)
	}
	if _, extends := c.until[p]; !extends && door.MaxOpen > 0 && open >= door.MaxOpen {
		return ErrFull
	}
	c.until[p] = max(c.until[p], now+d)
	return nil
}

// cellOf is where a door keeps its grants for an address, nil for nowhere.
func (f *Fake) cellOf(d *door, ip netip.Addr) *cell {
	if d.v4 != nil {
		return d.cellFor(ip)
	}
	ref := d.refFor(ip)
	if ref == nil {
		return nil
	}
	if f.sets[*ref] == nil {
		f.sets[*ref] = newCell(d.Name, nil, ip.Is6(), d.prefix(ip).Bits())
	}
	return f.sets[*ref]
}

// Revoke ends a grant. See Firewall.
func (f *Fake) Revoke(_ context.Context, name string, ip netip.Addr) error {
	door := f.doors[name]
	if door == nil {
		return fmt.Errorf("revoking %s of %s: %w", name, ip, ErrNoDoor)
	}
	ip = plain(ip)
	cells := door.cells()
	if c := f.cellOf(door, ip); c != nil && door.v4 == nil {
		cells = []*cell{c}
	}
	for _, c := range cells {
		if c.v6 == ip.Is6() {
			delete(c.until, netip.PrefixFrom(ip, c.bits).Masked())
		}
	}
	return nil
}

// List returns the grants, in no order.
func (f *Fake) List(context.Context) ([]Grant, error) {
	var cells []*cell
	for _, d := range f.doors {
		cells = append(cells, d.cells()...)
		for _, ref := range []*config.SetRef{d.Set4, d.Set6} {
			if ref != nil && d.v4 == nil && f.sets[*ref] != nil {
				c := *f.sets[*ref]
				c.door = d.Name
				cells = append(cells, &c)
			}
		}
	}
	return grantsOf(cells, f.clock.Now()), nil
}

// Renew pushes the lease's end to Lease from now.
func (f *Fake) Renew(context.Context) error {
	f.renew()
	return nil
}

// Remove shows every port.
func (f *Fake) Remove(context.Context) error {
	f.rules, f.doors, f.hiddenUntil = Rules{}, map[string]*door{}, 0
	return nil
}

// Admits reports whether the source reaches a port through the table.
func (f *Fake) Admits(source netip.Addr, port config.PortRange) bool {
	now := f.clock.Now()
	if f.hiddenUntil > 0 && now >= f.hiddenUntil {
		return true
	}
	for _, p := range f.rules.AlwaysAllow {
		if p.Contains(source) {
			return true
		}
	}
	hidden := false
	for _, d := range f.doors {
		if len(common(normal(d.Ports), []config.PortRange{port})) == 0 {
			continue
		}
		hidden = hidden || d.Hide != config.HideRehearse
		if d.admits(source, port, now) {
			return true
		}
	}
	return !hidden
}

// admits reports whether one of the door's grants is for the source and the port.
func (d *door) admits(source netip.Addr, port config.PortRange, now time.Duration) bool {
	for _, c := range d.cells() {
		if len(common(c.ports, []config.PortRange{port})) == 0 {
			continue
		}
		for p, until := range c.until {
			if until > now && p.Contains(source) {
				return true
			}
		}
	}
	return false
}
