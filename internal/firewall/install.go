package firewall

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"knockd/internal/config"
)

// installTries is how often Install begins anew when somebody flushes the ruleset in the middle of it.
const installTries = 5

// Install makes the table say exactly r. See Firewall.
func (k *Kernel) Install(ctx context.Context, r Rules, restore []Grant) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := validate(r); err != nil {
		return fmt.Errorf("installing the table inet knockd: %w", err)
	}
	asked := k.now()
	var err error
	for range installTries {
		if err = k.install(ctx, r, restore, asked); !IsLost(err) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("installing the table inet knockd: %w", err)
	}
	k.restoreSets(ctx, restore, asked)
	return nil
}

// validate refuses what would leave a door shut for ever.
func validate(r Rules) error {
	names := map[string]bool{}
	for _, d := range r.Doors {
		if names[d.Name] {
			return fmt.Errorf("two native doors are called %s: give them different names", d.Name)
		}
		names[d.Name] = true
		if len(d.Ports) > 0 && (d.Admit4 < 1 || d.Admit4 > 32 || d.Admit6 < 1 || d.Admit6 > 128) {
			return fmt.Errorf("%s: it can't admit prefixes of /%d and /%d", d.Name, d.Admit4, d.Admit6)
		}
	}
	return nil
}

func (k *Kernel) install(ctx context.Context, r Rules, restore []Grant, asked time.Duration) error {
	before, err := k.socket.read(ctx)
	if err != nil {
		return err
	}
	current, last := before.newest()
	var old []*cell
	if !r.Fresh && current > 0 {
		if old, err = k.known(ctx, &before, current); err != nil {
			return err
		}
	}
	doors := doorsOf(r)
	carry(doors, old, k.now())
	give(doors, restore, asked)
	if !hides(doors) {
		return k.installNothing(ctx, r, &before, doors)
	}
	b, err := compile(k.next(last), r, doors, k.now())
	if err != nil {
		return err
	}
	if err := k.build(ctx, b, &before, current > 0); err != nil {
		return errors.Join(err, k.discard(ctx, b.g))
	}
	k.remember(b.g, r, doors, b.leases())
	k.print, err = k.socket.fingerprint(ctx, k.g)
	return err
}

// next numbers a generation. The first of a process has the second of the boot, so that processes whose table was taken
// away between them don't use each other's numbers.
func (k *Kernel) next(last generation) generation {
	if last = max(last, k.g); last == 0 {
		last = generation(k.now() / time.Second)
	}
	return last + 1
}

// discard takes away what there is of a generation that could not be completed.
func (k *Kernel) discard(ctx context.Context, g generation) error {
	st, err := k.socket.read(ctx)
	if err != nil || !st.present {
		return nil // the first error says more
	}
	other := func(name string) bool { of, _ := generationOf(name); return of != g }
	st.chains = slices.DeleteFunc(st.chains, other)
	st.sets = slices.DeleteFunc(st.sets, func(s setFound) bool { return other(s.set) })
	return k.socket.transactAll(ctx, removal(&st, true))
}

func hides(doors []*door) bool {
	for _, d := range doors {
		if d.v4 != nil {
			return true
		}
	}
	return false
}

// installNothing is for rules whose doors all have sets of the user's: no table of ours.
func (k *Kernel) installNothing(ctx context.Context, r Rules, before *state, doors []*door) error {
	if before.present {
		if err := k.owned(*before, k.socket.transact(ctx, delTable())); err != nil {
			return err
		}
	}
	k.owner = false
	k.remember(0, r, doors, nil)
	k.print = fingerprint{}
	return nil
}

func (k *Kernel) remember(g generation, r Rules, doors []*door, lease []element) {
	k.g, k.rules, k.lease = g, r, lease
	k.doors = make(map[string]*door, len(doors))
	for _, d := range doors {
		k.doors[d.Name] = d
	}
}

// build brings the new generation in and takes the old ones away.
func (k *Kernel) build(ctx context.Context, b *build, before *state, hooked bool) error {
	if err := k.table(ctx, before); err != nil {
		return err
	}
	if err := k.socket.transactAll(ctx, b.hold); err != nil {
		return err
	}
	if err := k.countBack(ctx, b); err != nil {
		return err
	}
	if err := k.socket.transact(ctx, b.hook...); err != nil {
		return err
	}
	if hooked {
		// A packet that met the new hook while its chain had no rules yet must be past the old one before that goes.
		grace()
	}
	return k.socket.transactAll(ctx, removal(before, b.rehearses()))
}

// countBack makes sure that the grants which were handed over are in the kernel, before the old ones go.
func (k *Kernel) countBack(ctx context.Context, b *build) error {
	for _, d := range b.doors {
		for _, c := range d.cells() {
			if len(c.until) == 0 {
				continue
			}
			elements, err := k.socket.elements(ctx, ours(c.set))
			if err != nil {
				return err
			}
			if missing := c.missing(elements, k.now()); missing > 0 {
				return fmt.Errorf("%d grants of %s are not in the kernel", missing, c.door)
			}
		}
	}
	return nil
}

// table makes the table, or adopts it, with the flags owner and persist where the kernel has both. A table without them
// that is there already keeps what it has: to replace it would show the ports for a moment.
func (k *Kernel) table(ctx context.Context, before *state) error {
	const both = tableOwner | tablePersist
	mine := before.flags&tableOwner != 0 && before.owner == k.socket.conn.PID()
	if before.present && !mine && before.flags&tablePersist == 0 {
		k.owner = false
		return k.owned(*before, k.socket.transact(ctx, newTable(0)))
	}
	err := k.socket.transact(ctx, newTable(both))
	if !before.present && (errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL)) {
		k.owner = false
		return k.socket.transact(ctx, newTable(0))
	}
	k.owner = err == nil
	return k.owned(*before, err)
}

// removal deletes everything of the table as it was before: the hooks first, then what refers to other things before
// what is referred to.
func removal(before *state, rehearses bool) []netlink.Message {
	var bases, rules, chains, maps, sets []netlink.Message
	for _, c := range before.chains {
		if _, object := generationOf(c); object == baseName {
			bases = append(bases, flushChain(c), delChain(c))
			continue
		}
		rules, chains = append(rules, flushChain(c)), append(chains, delChain(c))
	}
	for _, s := range before.sets {
		switch of, _ := generationOf(s.set); {
		case of == 0 && rehearses && (s.set == seen4Name || s.set == seen6Name):
		case s.flags&unix.NFT_SET_MAP != 0:
			maps = append(maps, flushSet(s.set), delSet(s.set))
		default:
			sets = append(sets, delSet(s.set))
		}
	}
	var all []netlink.Message
	for _, part := range [][]netlink.Message{bases, maps, rules, chains, sets} {
		all = append(all, part...)
	}
	return all
}

// doorsOf are the doors with empty cells.
func doorsOf(r Rules) []*door {
	doors := make([]*door, 0, len(r.Doors))
	for _, d := range r.Doors {
		it := &door{Door: d}
		if len(d.Ports) > 0 {
			ports := normal(d.Ports)
			it.v4 = newCell(d.Name, ports, false, d.Admit4)
			it.v6 = newCell(d.Name, ports, true, d.Admit6)
		}
		doors = append(doors, it)
	}
	return doors
}

// known are the grants in the kernel: those of this Kernel, or what labels tell of another's.
func (k *Kernel) known(ctx context.Context, st *state, current generation) ([]*cell, error) {
	if current != k.g || !k.labelled(st) {
		return k.socket.cells(ctx, st, current, k.now)
	}
	return k.refresh(ctx)
}

// labelled reports whether the sets in the kernel are those of this Kernel.
func (k *Kernel) labelled(st *state) bool {
	comments := map[string]string{}
	for _, s := range st.sets {
		comments[s.set] = s.comment
	}
	for _, d := range k.doors {
		for _, c := range d.cells() {
			if comment, ok := comments[c.set]; !ok || comment != c.String() {
				return false
			}
		}
	}
	return true
}

// refresh asks the kernel for the grants of what is installed.
func (k *Kernel) refresh(ctx context.Context) ([]*cell, error) {
	var list []*cell
	for _, d := range k.doors {
		for _, c := range d.cells() {
			if err := k.socket.fill(ctx, c, k.now); err != nil {
				return nil, err
			}
			list = append(list, c)
		}
	}
	return list, nil
}

// copyMargin is taken off a grant that is copied: the kernel counts from when the copy arrives.
const copyMargin = 20 * time.Millisecond

// carry hands the grants of before to the doors that stand. One with other ports or another prefix length keeps
// those of its ports that the door still has.
func carry(doors []*door, old []*cell, now time.Duration) {
	byName := map[string]*door{}
	for _, d := range doors {
		byName[d.Name] = d
	}
	for _, c := range old {
		d := byName[c.door]
		if d == nil || d.v4 == nil {
			continue
		}
		for p, until := range c.until {
			if until-copyMargin > now {
				d.place(c.ports, p, until-copyMargin)
			}
		}
	}
}

// place puts a grant for ports where it belongs: among the door's own, or among those kept for fewer ports.
func (d *door) place(ports []config.PortRange, p netip.Prefix, until time.Duration) {
	want := newCell(d.Name, common(ports, d.v4.ports), p.Addr().Is6(), p.Bits())
	if len(want.ports) == 0 {
		return
	}
	for _, c := range d.cells() {
		if c.same(want) {
			c.until[p] = max(c.until[p], until)
			return
		}
	}
	want.until[p] = until
	d.kept = append(d.kept, want)
}

// give adds the grants of restore that were not found. Their time counts from when Install was asked.
func give(doors []*door, restore []Grant, asked time.Duration) {
	byName := map[string]*door{}
	for _, d := range doors {
		byName[d.Name] = d
	}
	for _, g := range restore {
		d := byName[g.Door]
		if d == nil || d.v4 == nil || !g.Prefix.IsValid() || g.Left <= 0 || d.has(g.Prefix) {
			continue
		}
		if d.MaxOpen > 0 && d.open(asked) >= d.MaxOpen {
			continue
		}
		d.place(d.v4.ports, g.Prefix.Masked(), asked+g.Left)
	}
}

// has reports whether there is a grant of exactly this prefix.
func (d *door) has(p netip.Prefix) bool {
	for _, c := range d.cells() {
		if _, ok := c.until[p]; ok {
			return true
		}
	}
	return false
}
