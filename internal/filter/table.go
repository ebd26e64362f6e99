package filter

import "knockd/internal/packet"

const (
	portCount  = 1 << 16
	everyFlags = ^uint64(0)
)

// table is what is asked for at every port of one protocol. Tables of 65,536 rows keep the work linear in the number of
// doors, and their order is that of the ports.
type table struct {
	proto packet.Proto
	// flags has, for each port, the flag values that rules admit, as in packet.FlagMatch.Bitmap.
	flags [portCount]uint64
	once  [portCount]bool
	decoy [portCount]bool
	// opening are the flag values of a packet that touches a decoy.
	opening uint64
}

// newTable collects what s asks for in one protocol.
func newTable(s Spec, proto packet.Proto) *table {
	t := &table{proto: proto, opening: everyFlags}
	if proto == packet.TCP {
		t.opening = opening()
	}
	for _, r := range s.Rules {
		t.addRule(r)
	}
	for _, d := range s.Decoys {
		for n := range t.decoy {
			if d.Contains(packet.Port{Proto: proto, Number: uint16(n)}) {
				t.decoy[n] = true
			}
		}
	}
	return t
}

func (t *table) addRule(r Rule) {
	flags := everyFlags
	if t.proto == packet.TCP {
		flags = r.Flags.Bitmap()
	}
	for _, p := range r.Ports {
		if p.Proto == t.proto {
			t.flags[p.Number] |= flags
			t.once[p.Number] = t.once[p.Number] || r.Once
		}
	}
}

// admitted returns all flag values admitted at port n.
func (t *table) admitted(n int) uint64 {
	if t.decoy[n] {
		return t.flags[n] | t.opening
	}
	return t.flags[n]
}

// opening is the set of flag values that open a connection.
func opening() uint64 {
	var set uint64
	for f := range packet.Flags(64) {
		if f.OpensConnection() {
			set |= 1 << f
		}
	}
	return set
}
