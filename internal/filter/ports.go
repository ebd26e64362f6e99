package filter

import (
	"net/netip"

	"knockd/internal/packet"
)

// Ports is a Spec as two sets, for maps that are looked up in constant time.
type Ports struct {
	// Entries are sorted by protocol and port.
	Entries []Entry
	// Destinations are own addresses and targets, sorted.
	Destinations []netip.Addr
}

// Entry is one port that is let through.
type Entry struct {
	Port packet.Port
	// Flags has bit i set if a TCP packet with the flags i is admitted; all bits for UDP.
	Flags uint64
	// Once: a single packet to it may open a door, and must be seen at once.
	Once bool
	// Decoy: it is in no rule, only a decoy.
	Decoy bool
}

// Compile returns s as sets. It takes time in proportion to the number of ports and addresses.
func Compile(s Spec) Ports {
	p := Ports{Destinations: s.destinations()}
	for _, proto := range [2]packet.Proto{packet.TCP, packet.UDP} {
		p.Entries = append(p.Entries, newTable(s, proto).entries()...)
	}
	return p
}

func (t *table) entries() []Entry {
	count := 0
	for n := range portCount {
		if t.admitted(n) != 0 {
			count++
		}
	}
	list := make([]Entry, 0, count)
	for n := range portCount {
		flags := t.admitted(n)
		if flags == 0 {
			continue
		}
		list = append(list, Entry{
			Port:  packet.Port{Proto: t.proto, Number: uint16(n)},
			Flags: flags,
			Once:  t.once[n],
			Decoy: t.flags[n] == 0,
		})
	}
	return list
}
