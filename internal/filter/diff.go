package filter

import (
	"cmp"
	"net/netip"
)

// Diff returns what turns p into next: entries to write, which are new or changed, entries to delete, and addresses to
// add and to delete. Who adds before deleting loses no packet on the way.
func (p Ports) Diff(next Ports) (set, del []Entry, addDst, delDst []netip.Addr) {
	set, del = difference(p.Entries, next.Entries, compareEntries)
	addDst, delDst = difference(p.Destinations, next.Destinations, netip.Addr.Compare)
	return set, del, addDst, delDst
}

func compareEntries(a, b Entry) int {
	return cmp.Or(cmp.Compare(a.Port.Proto, b.Port.Proto), cmp.Compare(a.Port.Number, b.Port.Number))
}

// difference walks two sorted lists side by side.
func difference[T comparable](old, next []T, compare func(a, b T) int) (set, del []T) {
	for len(old) > 0 && len(next) > 0 {
		switch c := compare(old[0], next[0]); {
		case c < 0:
			del, old = append(del, old[0]), old[1:]
		case c > 0:
			set, next = append(set, next[0]), next[1:]
		default:
			if old[0] != next[0] {
				set = append(set, next[0])
			}
			old, next = old[1:], next[1:]
		}
	}
	return append(set, next...), append(del, old...)
}
