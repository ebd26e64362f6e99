package firewall

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"knockd/internal/boottime"
)

// Kernel is nftables, over netlink.
type Kernel struct {
	// mu lets Watch look at the table while the methods of Firewall are used.
	mu     sync.Mutex
	socket *socket
	clock  boottime.Clock
	// g is the generation that this Kernel installed, 0 before.
	g     generation
	rules Rules
	// doors are what is installed, by name.
	doors map[string]*door
	// protos are the elements of the lease.
	lease []element
	// owner is whether the table carries the flags owner and persist.
	owner bool
	// print is what the table looked like after it was installed, for Watch.
	print fingerprint
}

var _ Firewall = (*Kernel)(nil)

// NewKernel opens nftables in the calling thread's network namespace. Nothing is changed yet. The error is a
// *PermissionError without CAP_NET_ADMIN and an *UnsupportedError where the kernel has no nf_tables. Close it.
func NewKernel() (*Kernel, error) {
	s, err := dial()
	if err != nil {
		return nil, err
	}
	k := &Kernel{socket: s, clock: boottime.System{}, doors: map[string]*door{}}
	if err := k.probe(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return k, nil
}

// probe asks for the ruleset's generation, which loads nf_tables where it is a module.
func (k *Kernel) probe() error {
	_, err := k.socket.request(context.Background(), message(unix.NFT_MSG_GETGEN, 0, begin(unix.AF_UNSPEC, 0)))
	var denied *PermissionError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &denied):
		return err
	}
	return &UnsupportedError{Err: err}
}

// Close closes the socket. The table stays: as it is with the flags owner and persist or without either.
func (k *Kernel) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.socket.close()
}

// Owner reports whether the installed table carries the flags owner and persist (Linux 6.9): nobody else can change it,
// `flush ruleset` passes over it, and it outlives this process.
func (k *Kernel) Owner() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.owner
}

// Present reports whether our table is in the kernel, whoever installed it.
func (k *Kernel) Present(ctx context.Context) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	st, err := k.socket.readTable(ctx)
	if err != nil {
		return false, fmt.Errorf("looking for the table inet knockd: %w", err)
	}
	return st.present, nil
}

// Renew pushes the lease's end to Lease from now.
func (k *Kernel) Renew(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.g == 0 || len(k.lease) == 0 {
		return nil
	}
	if err := k.replace(ctx, ours(k.g.name(leaseName)), k.lease); err != nil {
		return fmt.Errorf("renewing the lease of the hidden ports: %w", err)
	}
	return nil
}

// replaceTries is how often replace is tried: an element may expire between two of its steps.
const replaceTries = 3

// replace sets elements anew: add, delete, add, in one transaction, is right whether they are there, absent or just
// expired. A plain addition would leave the old timeout (until Linux 6.12).
func (k *Kernel) replace(ctx context.Context, p place, elements []element) error {
	put := elementMessage(unix.NFT_MSG_NEWSETELEM, create, p, elements)
	del := elementMessage(unix.NFT_MSG_DELSETELEM, 0, p, elements)
	var err error
	for range replaceTries {
		if err = k.socket.transact(ctx, put, del, put); !errors.Is(err, unix.ENOENT) {
			break
		}
	}
	return k.ownedNow(ctx, err)
}

// add sets elements that should not be there: the quicker way to what replace does.
func (k *Kernel) add(ctx context.Context, p place, elements []element) error {
	err := k.socket.transact(ctx, elementMessage(unix.NFT_MSG_NEWSETELEM, create|netlink.Excl, p, elements))
	if errors.Is(err, unix.EEXIST) {
		return k.replace(ctx, p, elements)
	}
	return k.ownedNow(ctx, err)
}

// Remove takes the table away: every port is shown. That there is none is no error. Sets of the user's own keep what
// they have.
func (k *Kernel) Remove(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	st, err := k.socket.readTable(ctx)
	if err == nil && st.present {
		if err = k.socket.transact(ctx, delTable()); errors.Is(err, unix.ENOENT) {
			err = nil
		}
		err = k.owned(st, err)
	}
	if err != nil {
		return fmt.Errorf("removing the table inet knockd: %w", err)
	}
	k.g, k.rules, k.lease, k.owner, k.print = 0, Rules{}, nil, false, fingerprint{}
	k.doors = map[string]*door{}
	return nil
}

// owned tells a table that another process owns from a missing capability: the kernel answers EPERM to both.
func (k *Kernel) owned(st state, err error) error {
	var denied *PermissionError
	if errors.As(err, &denied) && st.flags&tableOwner != 0 && st.owner != k.socket.conn.PID() {
		return &OwnedError{Port: st.owner}
	}
	return err
}

// ownedNow does the same where the table was not looked at before.
func (k *Kernel) ownedNow(ctx context.Context, err error) error {
	if _, denied := errors.AsType[*PermissionError](err); !denied {
		return err
	}
	st, readErr := k.socket.readTable(ctx)
	if readErr != nil {
		return err
	}
	return k.owned(st, err)
}

// Expire ends the grants whose time by CLOCK_BOOTTIME is over: the kernel's timeouts stand still while the machine
// sleeps. It is for after a resume; it does nothing else.
func (k *Kernel) Expire(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	for _, d := range k.doors {
		for _, c := range d.cells() {
			var over []element
			for p, until := range c.until {
				if until <= now {
					over = append(over, element{key: keyOf(p.Addr()), timeout: time.Second})
				}
			}
			for part := range slices.Chunk(over, elementsMost) {
				if err := k.remove(ctx, ours(c.set), part); err != nil {
					return fmt.Errorf("ending the grants of %s: %w", d.Name, err)
				}
			}
			c.expire(now)
		}
	}
	return nil
}

// now is the time on CLOCK_BOOTTIME.
func (k *Kernel) now() time.Duration { return k.clock.Now() }
