package firewall

import (
	"slices"

	"knockd/internal/config"
	"knockd/internal/packet"
)

// group is a number of ports that the same doors hide: they share a chain. However many doors there are, a packet finds
// its chain by one look-up.
type group struct {
	proto packet.Proto
	cells []*cell
	hide  config.Hide
	// doors are the names of the doors, for the record of a rehearsal.
	doors []string
	chain string
}

// span is a range of ports of one protocol with its group.
type span struct {
	first, last uint16
	group       *group
}

// table is everything of a generation that depends on ports.
type table struct {
	groups   []*group
	tcp, udp []span
}

// grouped divides the ports among groups.
func grouped(doors []*door) table {
	var t table
	t.tcp = t.spans(doors, packet.TCP)
	t.udp = t.spans(doors, packet.UDP)
	return t
}

// spans cuts the ports of a protocol where any cell begins or ends: within a piece the doors are the same.
func (t *table) spans(doors []*door, proto packet.Proto) []span {
	edges := edgesOf(doors, proto)
	known := map[string]*group{}
	var spans []span
	for _, e := range edges {
		// The doors at work from this edge on, by their place.
		if len(e.doors) == 0 {
			continue
		}
		g := t.groupOf(known, doors, e, proto)
		if n := len(spans); n > 0 && spans[n-1].group == g && int(spans[n-1].last)+1 == int(e.first) {
			spans[n-1].last = e.last
			continue
		}
		spans = append(spans, span{first: e.first, last: e.last, group: g})
	}
	return spans
}

// piece is a range of ports and the places of the doors that hide them.
type piece struct {
	first, last uint16
	doors       []int
}

// edgesOf are the pieces in order.
func edgesOf(doors []*door, proto packet.Proto) []piece {
	type change struct {
		at, door int
		begins   bool
	}
	var changes []change
	cuts := map[int]bool{}
	for i, d := range doors {
		for _, r := range normal(d.Ports) {
			if r.Proto == proto && d.v4 != nil {
				changes = append(changes, change{int(r.First), i, true}, change{int(r.Last) + 1, i, false})
			}
		}
		for _, c := range d.kept {
			for _, r := range c.ports {
				if r.Proto == proto {
					cuts[int(r.First)], cuts[int(r.Last)+1] = true, true
				}
			}
		}
	}
	for at := range cuts {
		changes = append(changes, change{at: at, door: -1})
	}
	slices.SortFunc(changes, func(a, b change) int { return a.at - b.at })
	var pieces []piece
	active := map[int]bool{}
	for i := 0; i < len(changes); {
		at := changes[i].at
		for ; i < len(changes) && changes[i].at == at; i++ {
			switch c := changes[i]; {
			case c.door < 0:
			case c.begins:
				active[c.door] = true
			default:
				delete(active, c.door)
			}
		}
		if i < len(changes) && len(active) > 0 {
			pieces = append(pieces, piece{uint16(at), uint16(changes[i].at - 1), sortedKeys(active)})
		}
	}
	return pieces
}

func sortedKeys(m map[int]bool) []int {
	keys := make([]int, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// groupOf finds or makes the group of a piece.
func (t *table) groupOf(known map[string]*group, doors []*door, p piece, proto packet.Proto) *group {
	g := &group{proto: proto}
	identity := []byte{}
	for _, i := range p.doors {
		for _, c := range doors[i].cells() {
			if len(common(c.ports, []config.PortRange{{Proto: proto, First: p.first, Last: p.last}})) > 0 {
				g.cells = append(g.cells, c)
				identity = append(append(identity, c.set...), ' ')
			}
		}
		g.doors = append(g.doors, doors[i].Name)
		g.hide = stricter(g.hide, doors[i].Hide, len(g.doors) == 1)
	}
	if old := known[string(identity)]; old != nil {
		return old
	}
	known[string(identity)] = g
	t.groups = append(t.groups, g)
	return g
}

// stricter is how a port answers that several doors hide: as the first of them says, but a rehearsal only if all do.
func stricter(a, b config.Hide, first bool) config.Hide {
	if first || a == config.HideRehearse {
		return b
	}
	return a
}
