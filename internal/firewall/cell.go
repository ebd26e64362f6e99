package firewall

import (
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/config"
)

// cell is one set of grants: those of a door, of one family and one prefix length, for certain ports. A door has one
// of each family, and, after a reload that gave it other ports or another Admit, one for the grants of before: they
// keep what they had, as far as the door still has it.
type cell struct {
	label
	v6 bool
	// set is the name in the kernel.
	set string
	// until is when each grant ends, on CLOCK_BOOTTIME. The kernel may have dropped one earlier.
	until map[netip.Prefix]time.Duration
}

func newCell(door string, ports []config.PortRange, v6 bool, bits int) *cell {
	return &cell{
		label: label{door: door, ports: ports, bits: bits},
		v6:    v6, until: map[netip.Prefix]time.Duration{},
	}
}

// same reports whether grants of the one are grants of the other.
func (c *cell) same(o *cell) bool {
	return c.door == o.door && c.v6 == o.v6 && c.bits == o.bits && slices.Equal(c.ports, o.ports)
}

func (c *cell) key() keyType {
	if c.v6 {
		return keyIPv6
	}
	return keyIPv4
}

// describe is the set for the kernel. It has no size: the kernel would count what is expired and not yet collected,
// and Max_Open is for both families together.
func (c *cell) describe() set {
	return set{name: c.set, flags: unix.NFT_SET_TIMEOUT, key: c.key(), comment: c.String()}
}

// elements are the grants that have time left.
func (c *cell) elements(now time.Duration) []element {
	var list []element
	for p, until := range c.until {
		if until-now >= time.Millisecond {
			list = append(list, element{key: keyOf(p.Addr()), timeout: until - now})
		}
	}
	return list
}

// expire forgets what is over, and counts what is left.
func (c *cell) expire(now time.Duration) int {
	for p, until := range c.until {
		if until <= now {
			delete(c.until, p)
		}
	}
	return len(c.until)
}

// missing counts the grants with time left that are not among the elements. One that is about to end may be gone: the
// kernel counts in ticks of up to 10 ms.
func (c *cell) missing(elements []found, now time.Duration) int {
	there := make(map[netip.Prefix]bool, len(elements))
	for _, e := range elements {
		if p, ok := c.prefixOf(e.key); ok {
			there[p] = true
		}
	}
	n := 0
	for p, until := range c.until {
		if until > now+100*time.Millisecond && !there[p] {
			n++
		}
	}
	return n
}

// prefixOf is the grant that an element of the cell's set stands for.
func (c *cell) prefixOf(key []byte) (netip.Prefix, bool) {
	ip, ok := netip.AddrFromSlice(key)
	return netip.PrefixFrom(ip, c.bits), ok && ip.Is6() == c.v6
}

// door is what Grant needs of a door that is installed.
type door struct {
	Door
	// v4 and v6 are where new grants go, nil for a door with sets of the user's alone.
	v4, v6 *cell
	// kept are those of before.
	kept []*cell
	// inSets are the grants in sets of the user's, with their ends, for Max_Open.
	inSets map[netip.Prefix]time.Duration
}

// cells are all the sets of the door in our table.
func (d *door) cells() []*cell {
	if d.v4 == nil {
		return nil
	}
	return append([]*cell{d.v4, d.v6}, d.kept...)
}

// cellFor is where a grant for ip goes.
func (d *door) cellFor(ip netip.Addr) *cell {
	if ip.Is4() {
		return d.v4
	}
	return d.v6
}

// prefix is what a grant for ip admits.
func (d *door) prefix(ip netip.Addr) netip.Prefix {
	bits := d.Admit4
	if ip.Is6() {
		bits = d.Admit6
	}
	return netip.PrefixFrom(ip, bits).Masked()
}

// open counts the grants.
func (d *door) open(now time.Duration) int {
	n := 0
	for _, c := range d.cells() {
		n += c.expire(now)
	}
	return n
}

// plain is an address as sets hold it.
func plain(ip netip.Addr) netip.Addr { return ip.Unmap().WithZone("") }
