package capture

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"knockd/internal/capture/bpf"
	"knockd/internal/filter"
	"knockd/internal/packet"
)

// The marks of a port, as in held.h.
const (
	markOnce = 1 << iota
	markDoubled
)

// tables are the maps that say what is asked for, and what they hold. A change is made in place and in an order in which
// nothing that was asked for before and after is missing in between.
type tables struct {
	maps  *bpf.KnockMaps
	ports filter.Ports
	// doubled are ports that some sequence has twice in a row.
	doubled map[packet.Port]bool
	setting bpf.KnockSetting
	// names has the destinations by the numbers that records have of them. The map is never written, only replaced.
	names *atomic.Pointer[map[uint32]netip.Addr]
	// last is the newest number. One that is free again is not used before all others were: a packet held back may
	// still have it.
	last uint32
}

// mostDestinations is one more than the highest number that a packet held back has room for, as in held.h.
const mostDestinations = 1 << 20

func newTables(m *bpf.KnockMaps) (tables, error) {
	t := tables{maps: m, names: &atomic.Pointer[map[uint32]netip.Addr]{}}
	t.names.Store(&map[uint32]netip.Addr{})
	if err := binary.Read(rand.Reader, binary.NativeEndian, &t.setting.TagKey); err != nil {
		return t, fmt.Errorf("making keys: %w", err)
	}
	if err := binary.Read(rand.Reader, binary.NativeEndian, &t.setting.CheckKey); err != nil {
		return t, fmt.Errorf("making keys: %w", err)
	}
	for i := range t.setting.CheckKey {
		t.setting.CheckKey[i] |= 1
	}
	return t, t.set(rules{})
}

// set writes what is not about ports and addresses.
func (t *tables) set(r rules) error {
	t.setting.Limit = windowLimit(r.floodThreshold)
	t.setting.NoVlan = 0
	if r.spec.NoVLAN {
		t.setting.NoVlan = 1
	}
	if err := t.maps.Settings.Put(uint32(0), &t.setting); err != nil {
		return fmt.Errorf("changing the settings: %w", err)
	}
	return nil
}

// windowLimit turns a number of new sources a second into one of a window; 0: every new source is a flood.
func windowLimit(threshold int) uint64 {
	const window = 1 << 30 // ns, as in held.h
	if threshold <= 0 {
		return 0
	}
	return (uint64(min(threshold, 1<<30))*window + 1e9 - 1) / 1e9
}

// update changes the maps to what r asks for. After an error, of which only want of memory is known, the next update
// writes everything again; what is too much till then, the engine sorts out.
func (t *tables) update(r rules) error {
	next, doubled := filter.Compile(r.spec), doubledPorts(r.spec)
	if limit := t.maps.Destinations.MaxEntries(); uint64(len(next.Destinations)) > uint64(limit) {
		return fmt.Errorf("%d own addresses and targets are more than %d", len(next.Destinations), limit)
	}
	err := t.set(r)
	if err == nil {
		err = t.change(next, doubled)
	}
	if err != nil {
		t.ports = filter.Ports{}
	}
	return err
}

// change writes only what differs. So nothing that is asked for before and after is missing in between, and since new
// destinations come last, all that goes to them is judged by the new rules alone.
func (t *tables) change(next filter.Ports, doubled map[packet.Port]bool) error {
	set, del, addDst, delDst := t.ports.Diff(next)
	set = append(set, t.remarked(next, doubled)...)
	for _, step := range [...]func() error{
		func() error { return t.putEntries(set, doubled) },
		func() error { return t.putBits(next.Entries) },
		func() error { return t.zeroEntries(del) },
		func() error { return t.deleteDestinations(delDst) },
		func() error { return t.addDestinations(addDst) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	t.ports, t.doubled = next, doubled
	return nil
}

// doubledPorts are those that a sequence has twice in a row: there a repeat is a step.
func doubledPorts(s filter.Spec) map[packet.Port]bool {
	found := map[packet.Port]bool{}
	for _, r := range s.Rules {
		for i := 1; i < len(r.Ports); i++ {
			if r.Ports[i] == r.Ports[i-1] {
				found[r.Ports[i]] = true
			}
		}
	}
	return found
}

// remarked are entries that differ from what they were in their mark of doubled alone.
func (t *tables) remarked(next filter.Ports, doubled map[packet.Port]bool) []filter.Entry {
	if len(t.doubled) == 0 && len(doubled) == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(next.Entries), func(e filter.Entry) bool {
		return t.doubled[e.Port] == doubled[e.Port]
	})
}

// doorIndex is the index of a port in the map of doors.
func doorIndex(p packet.Port) uint32 {
	if p.Proto == packet.UDP {
		return 1<<16 | uint32(p.Number)
	}
	return uint32(p.Number)
}

func (t *tables) putEntries(entries []filter.Entry, doubled map[packet.Port]bool) error {
	return t.putDoors(entries, func(e filter.Entry) bpf.KnockDoor {
		d := bpf.KnockDoor{Flags: e.Flags}
		if e.Once {
			d.Marks |= markOnce
		}
		if doubled[e.Port] {
			d.Marks |= markDoubled
		}
		return d
	})
}

func (t *tables) zeroEntries(entries []filter.Entry) error {
	return t.putDoors(entries, func(filter.Entry) bpf.KnockDoor { return bpf.KnockDoor{} })
}

// putDoors writes many elements with one call (Linux 5.6).
func (t *tables) putDoors(entries []filter.Entry, value func(filter.Entry) bpf.KnockDoor) error {
	if len(entries) == 0 {
		return nil
	}
	keys, values := make([]uint32, len(entries)), make([]bpf.KnockDoor, len(entries))
	for i, e := range entries {
		keys[i], values[i] = doorIndex(e.Port), value(e)
	}
	if _, err := t.maps.Doors.BatchUpdate(keys, values, nil); err != nil {
		return fmt.Errorf("changing the map of ports: %w", err)
	}
	return nil
}

// putBits writes the sets of ports asked for over the old ones; a bit that is in both is set all the while.
func (t *tables) putBits(entries []filter.Entry) error {
	var bits [2][1 << 13]byte
	for _, e := range entries {
		n := doorIndex(e.Port)
		bits[n>>16][n>>3&(1<<13-1)] |= 1 << (n & 7)
	}
	for i := range bits {
		if err := t.maps.Asked.Put(uint32(i), bits[i][:]); err != nil {
			return fmt.Errorf("changing the set of ports: %w", err)
		}
	}
	return nil
}

func destinationKey(a netip.Addr) bpf.KnockDestination {
	if a.Is4() {
		b := a.As4()
		return bpf.KnockDestination{Family: 4, Addr: [4]uint32{binary.NativeEndian.Uint32(b[:])}}
	}
	d, b := bpf.KnockDestination{Family: 6}, a.As16()
	for i := range d.Addr {
		d.Addr[i] = binary.NativeEndian.Uint32(b[4*i:])
	}
	return d
}

// addDestinations names numbers before the program can use them.
func (t *tables) addDestinations(addrs []netip.Addr) error {
	if len(addrs) == 0 {
		return nil
	}
	names, numbers := maps.Clone(*t.names.Load()), make([]uint32, len(addrs))
	for i, a := range addrs {
		t.last = nextNumber(names, t.last)
		numbers[i], names[t.last] = t.last, a
	}
	t.names.Store(&names)
	for i, a := range addrs {
		if err := t.maps.Destinations.Put(destinationKey(a), numbers[i]); err != nil {
			return fmt.Errorf("adding the destination %v: %w", a, err)
		}
	}
	return nil
}

// nextNumber is the next after last that nothing has; 0 is none. The map of destinations has fewer elements than there
// are numbers.
func nextNumber(names map[uint32]netip.Addr, last uint32) uint32 {
	for {
		last = (last + 1) % mostDestinations
		if _, used := names[last]; !used && last != 0 {
			return last
		}
	}
}

// deleteDestinations forgets addresses; the program no longer uses their numbers when they lose their names.
func (t *tables) deleteDestinations(addrs []netip.Addr) error {
	if len(addrs) == 0 {
		return nil
	}
	for _, a := range addrs {
		err := t.maps.Destinations.Delete(destinationKey(a))
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("deleting the destination %v: %w", a, err)
		}
	}
	names := maps.Clone(*t.names.Load())
	maps.DeleteFunc(names, func(_ uint32, a netip.Addr) bool { return slices.Contains(addrs, a) })
	t.names.Store(&names)
	return nil
}
