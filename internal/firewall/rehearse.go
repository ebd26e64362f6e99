package firewall

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Seen is a source that a door with Hide = rehearse would have dropped.
type Seen struct {
	Door   string
	Source netip.Addr
	// Ago is how long ago it last tried.
	Ago time.Duration
}

// trimAt is the size from which on Rehearsed makes room: the kernel records nobody in a set that is full.
const trimAt = seenMost * 3 / 4

// Rehearsed returns the sources that the doors on rehearsal would have dropped within the last 30 days, in no order. The
// kernel holds 65,536 of each family; when three quarters are used, those seen longest ago are forgotten.
func (k *Kernel) Rehearsed(ctx context.Context) ([]Seen, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []Seen
	for _, name := range []string{seen4Name, seen6Name} {
		elements, err := k.socket.elements(ctx, ours(name))
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err == nil {
			err = k.trim(ctx, name, elements)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the rehearsal's record: %w", err)
		}
		list = append(list, k.seen(elements)...)
	}
	return list, nil
}

func (k *Kernel) seen(elements []found) []Seen {
	names := map[uint32]string{}
	for name := range k.doors {
		names[doorID(name)] = name
	}
	var list []Seen
	for _, e := range elements {
		if len(e.key) < 8 {
			continue
		}
		ip, ok := netip.AddrFromSlice(e.key[4:])
		name := names[binary.NativeEndian.Uint32(e.key)]
		if ok && name != "" {
			list = append(list, Seen{Door: name, Source: ip, Ago: max(e.timeout-e.left, 0)})
		}
	}
	return list
}

// trim forgets the older half of a record that fills up.
func (k *Kernel) trim(ctx context.Context, name string, elements []found) error {
	if len(elements) < trimAt {
		return nil
	}
	sorted := slices.Clone(elements)
	slices.SortFunc(sorted, func(a, b found) int { return int(a.left.Milliseconds() - b.left.Milliseconds()) })
	old := make([]element, 0, len(sorted)/2)
	for _, e := range sorted[:len(sorted)/2] {
		old = append(old, element{key: e.key, timeout: time.Second})
	}
	for part := range slices.Chunk(old, elementsMost) {
		if err := k.remove(ctx, ours(name), part); err != nil {
			return err
		}
	}
	return nil
}
