package firewall

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Grant lets the source in. See Firewall.
func (k *Kernel) Grant(ctx context.Context, name string, ip netip.Addr, d time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.grant(ctx, name, plain(ip), d); err != nil {
		return fmt.Errorf("granting %s to %s: %w", name, ip, err)
	}
	return nil
}

func (k *Kernel) grant(ctx context.Context, name string, ip netip.Addr, d time.Duration) error {
	door := k.doors[name]
	switch {
	case door == nil:
		return ErrNoDoor
	case !ip.IsValid() || d <= 0:
		return errors.New("an address and a time above zero are needed")
	case door.v4 == nil:
		return k.grantInSet(ctx, door, ip, d)
	}
	prefix, cell := door.prefix(ip), door.cellFor(ip)
	put := k.replace
	if _, extends := cell.until[prefix]; !extends {
		if err := k.room(ctx, door); err != nil {
			return err
		}
		put = k.add
	}
	until := max(cell.until[prefix], k.now()+d)
	e := element{key: keyOf(prefix.Addr()), timeout: until - k.now()}
	if err := put(ctx, ours(cell.set), []element{e}); err != nil {
		return err
	}
	cell.until[prefix] = until
	return nil
}

// room makes sure that the door may have one grant more. Before it refuses, it asks the kernel: grants may have gone
// without it.
func (k *Kernel) room(ctx context.Context, d *door) error {
	if d.MaxOpen <= 0 || d.count() < d.MaxOpen || d.open(k.now()) < d.MaxOpen {
		return nil
	}
	for _, c := range d.cells() {
		if err := k.socket.fill(ctx, c, k.now); err != nil {
			return err
		}
	}
	if d.open(k.now()) < d.MaxOpen {
		return nil
	}
	return ErrFull
}

// Revoke ends a grant. See Firewall.
func (k *Kernel) Revoke(ctx context.Context, name string, ip netip.Addr) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.revoke(ctx, name, plain(ip)); err != nil {
		return fmt.Errorf("revoking %s of %s: %w", name, ip, err)
	}
	return nil
}

func (k *Kernel) revoke(ctx context.Context, name string, ip netip.Addr) error {
	door := k.doors[name]
	switch {
	case door == nil:
		return ErrNoDoor
	case door.v4 == nil:
		return k.revokeInSet(ctx, door, ip)
	}
	for _, c := range door.cells() {
		if c.v6 != ip.Is6() {
			continue
		}
		p := netip.PrefixFrom(ip, c.bits).Masked()
		// Added first, so that there is something to delete.
		e := []element{{key: keyOf(p.Addr()), timeout: time.Second}}
		if err := k.remove(ctx, ours(c.set), e); err != nil {
			return err
		}
		delete(c.until, p)
	}
	return nil
}

// remove deletes elements whether or not they are there: add and delete, in one transaction.
func (k *Kernel) remove(ctx context.Context, p place, elements []element) error {
	put, del := addElements(p, elements), delElements(p, elements)
	return k.socket.transact(ctx, append(put, del...)...)
}

// count is the number of grants, those among them that may be over.
func (d *door) count() int {
	n := 0
	for _, c := range d.cells() {
		n += len(c.until)
	}
	return n
}
