package advice

import (
	"cmp"
	"fmt"
	"slices"
)

// findings words what was found, in the order of the way; what is the same over both families once.
func (w way) findings(o Open, families []byte, followed int, drops []drop) []Finding {
	slices.SortStableFunc(drops, func(a, b drop) int { return cmp.Compare(a.guard, b.guard) })
	var list []Finding
	for i, d := range drops {
		over := ""
		switch twin := slices.IndexFunc(drops, func(other drop) bool { return other.family != d.family && d.equal(other) }); {
		case twin >= 0 && twin < i:
			continue
		case twin < 0 && d.family == ipv6:
			over = " over IPv6"
		case twin < 0 && w.guards[d.guard].sees(ipv6) && len(families) > 1:
			over = " over IPv4"
		}
		list = append(list, Finding{
			Door:    o.Door,
			Problem: fmt.Sprintf("%s%s%s would still be dropped by %s (%s)", what(o, followed, d.ports), d.to.String(), over, w.guards[d.guard].where, d.by),
			Fix:     w.guards[d.guard].fix(wish{Open: o, family: d.family, by: d.by, to: d.to}),
		})
	}
	return list
}

func (d drop) equal(o drop) bool {
	return d.guard == o.guard && d.by == o.by && d.to == o.to && slices.Equal(d.ports, o.ports)
}

// what names the ports: the range, or those of it that were found.
func what(o Open, followed int, dropped []uint16) string {
	if len(dropped) == followed {
		return o.Ports.String()
	}
	return fmt.Sprintf("%s/%d%s of %s", o.Ports.Proto, dropped[0], others(len(dropped)-1), o.Ports)
}

func others(n int) string {
	if n == 0 {
		return ""
	}
	return " and others"
}
