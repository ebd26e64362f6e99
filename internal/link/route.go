package link

import (
	"cmp"
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"
)

// route is a default route.
type route struct {
	// family is AF_INET or AF_INET6.
	family uint8
	metric uint32
	index  int
}

// isDefault reports whether an RTM_NEWROUTE or RTM_DELROUTE is about a default route.
func isDefault(b []byte) bool { return len(b) >= routeSize && b[routePrefix] == 0 }

// parseRoute reads an RTM_NEWROUTE; ok is false unless it is a default route of the main table that leads somewhere.
func parseRoute(b []byte) (r route, ok bool) {
	if !isDefault(b) || b[routeType] != unix.RTN_UNICAST || number(b[routeFlags:])&unix.RTNH_F_DEAD != 0 {
		return route{}, false
	}
	table := uint32(b[routeTable])
	ok = attributes(b, routeSize, func(kind uint16, value []byte) {
		switch kind {
		case unix.RTA_TABLE:
			table = number(value)
		case unix.RTA_PRIORITY:
			r.metric = number(value)
		case unix.RTA_OIF:
			r.index = int(number(value))
		case unix.RTA_MULTIPATH:
			r.index = firstHop(value)
		}
	})
	r.family = b[routeFamily]
	return r, ok && table == unix.RT_TABLE_MAIN && r.index > 0
}

// firstHop is the interface of the first of several next hops that is alive (struct rtnexthop, rtnetlink(7)).
func firstHop(b []byte) int {
	for len(b) >= unix.SizeofRtNexthop {
		n := int(binary.NativeEndian.Uint16(b))
		if b[2]&unix.RTNH_F_DEAD == 0 {
			return int(number(b[4:]))
		}
		if n < unix.SizeofRtNexthop || n > len(b) {
			return 0
		}
		b = b[align(n, len(b)):]
	}
	return 0
}

// defaultIndex is the interface of the route that counts: IPv4 before IPv6, the lowest metric, the one listed first.
// It is 0 if there is none.
func defaultIndex(routes []route) int {
	if len(routes) == 0 {
		return 0
	}
	best := slices.MinFunc(routes, func(a, b route) int {
		return cmp.Or(cmp.Compare(a.family, b.family), cmp.Compare(a.metric, b.metric))
	})
	return best.index
}
