package filter

import (
	"net/netip"
	"slices"
	"testing"

	"knockd/internal/decoy"
	"knockd/internal/packet"
)

// admits looks p up as the eBPF program does.
func (p Ports) admits(q *packet.Packet) bool {
	if _, ok := slices.BinarySearchFunc(p.Destinations, q.Dst, netip.Addr.Compare); !ok {
		return false
	}
	i, ok := slices.BinarySearchFunc(p.Entries, Entry{Port: q.Port}, compareEntries)
	return ok && p.Entries[i].Flags>>q.Flags&1 == 1
}

func TestCompileIsAdmits(t *testing.T) {
	for seed := range uint64(100) {
		m := newMaker(seed)
		s := m.spec()
		ports := Compile(s)
		if !slices.IsSortedFunc(ports.Entries, compareEntries) {
			t.Fatalf("seed %d: entries are not sorted", seed)
		}
		for range 500 {
			p := m.packet(s)
			if got, want := ports.admits(&p), s.Admits(&p); got != want {
				t.Fatalf("seed %d: %+v: %v, want %v", seed, p, got, want)
			}
		}
	}
}

func TestCompileMarks(t *testing.T) {
	syn := packet.FlagMatch{Set: packet.SYN}
	ack := packet.FlagMatch{Set: packet.ACK}
	s := Spec{
		Own: addrs("fe80::1%eth0", "::ffff:192.0.2.1", "192.0.2.1"),
		Rules: []Rule{
			{Flags: syn, Ports: []packet.Port{udp(53), tcp(7000)}},
			{Flags: ack, Ports: []packet.Port{tcp(7000)}, Once: true, Target: netip.MustParseAddr("192.0.2.9")},
			{Flags: packet.FlagMatch{Set: packet.SYN, Clear: packet.SYN}, Ports: []packet.Port{tcp(9)}},
		},
		Decoys: []*decoy.Set{decoy.New(decoy.Key{}, 0, nil, []packet.Port{tcp(7000), udp(53)})},
	}
	got := Compile(s)
	want := []Entry{
		{Port: tcp(6999), Flags: opening(), Decoy: true},
		{Port: tcp(7000), Flags: syn.Bitmap() | ack.Bitmap(), Once: true},
		{Port: tcp(7001), Flags: opening(), Decoy: true},
		{Port: udp(52), Flags: everyFlags, Decoy: true},
		{Port: udp(53), Flags: everyFlags},
		{Port: udp(54), Flags: everyFlags, Decoy: true},
	}
	if !slices.Equal(got.Entries, want) {
		t.Errorf("Entries = %+v, want %+v", got.Entries, want)
	}
	if dst := addrs("192.0.2.1", "192.0.2.9", "fe80::1"); !slices.Equal(got.Destinations, dst) {
		t.Errorf("Destinations = %v, want %v", got.Destinations, dst)
	}
}

func TestDiff(t *testing.T) {
	for seed := range uint64(100) {
		m := newMaker(seed)
		old, next := Compile(m.spec()), Compile(m.spec())
		set, del, addDst, delDst := old.Diff(next)
		entries := map[packet.Port]Entry{}
		for _, e := range old.Entries {
			entries[e.Port] = e
		}
		for _, e := range del {
			if entries[e.Port] != e {
				t.Fatalf("seed %d: deletes %+v", seed, e)
			}
			delete(entries, e.Port)
		}
		for _, e := range set {
			if entries[e.Port] == e {
				t.Fatalf("seed %d: writes %+v again", seed, e)
			}
			entries[e.Port] = e
		}
		for _, e := range next.Entries {
			if entries[e.Port] != e {
				t.Fatalf("seed %d: %+v, want %+v", seed, entries[e.Port], e)
			}
		}
		if len(entries) != len(next.Entries) {
			t.Fatalf("seed %d: %d entries, want %d", seed, len(entries), len(next.Entries))
		}
		dst := slices.DeleteFunc(slices.Concat(old.Destinations, addDst), func(a netip.Addr) bool {
			return slices.Contains(delDst, a)
		})
		slices.SortFunc(dst, netip.Addr.Compare)
		if !slices.Equal(dst, next.Destinations) {
			t.Fatalf("seed %d: destinations %v, want %v", seed, dst, next.Destinations)
		}
		if set, del, addDst, delDst := next.Diff(next); len(set)+len(del)+len(addDst)+len(delDst) != 0 {
			t.Fatalf("seed %d: a difference to itself", seed)
		}
	}
}
