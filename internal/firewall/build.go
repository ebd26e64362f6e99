package firewall

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"knockd/internal/config"
	"knockd/internal/packet"
)

// build is a generation of the table in the making.
type build struct {
	g     generation
	rules Rules
	doors []*door
	table table
	// hold makes everything that changes nothing yet; it may take many transactions. hook, one transaction, makes the
	// base chain with its rules.
	hold, hook []netlink.Message
	ids        uint32
	err        error
}

// compile turns rules into messages. The cells of the doors have their grants already.
func compile(g generation, rules Rules, doors []*door, now time.Duration) (*build, error) {
	b := &build{g: g, rules: rules, doors: doors}
	b.nameCells()
	b.table = grouped(doors)
	b.nameGroups()
	b.grants(now)
	b.exemptions()
	b.chains()
	b.ports()
	b.base()
	return b, b.err
}

func (b *build) add(m ...netlink.Message) { b.hold = append(b.hold, m...) }

// set makes a set with its elements.
func (b *build) set(s set, elements []element) {
	b.ids++
	b.add(newSet(s, b.ids))
	b.add(addElements(ours(s.name), elements)...)
}

func (b *build) rule(chain string, r rule) {
	m, err := newRule(chain, r)
	if err != nil && b.err == nil {
		b.err = fmt.Errorf("encoding a rule of %s: %w", chain, err)
	}
	b.add(m)
}

func (b *build) nameCells() {
	for i, d := range b.doors {
		for j, c := range d.cells() {
			family := 4
			if c.v6 {
				family = 6
			}
			c.set = b.g.name(fmt.Sprintf("%s%d_%d", doorPrefix, i, family))
			if j > 1 {
				c.set += fmt.Sprintf("_kept%d", j-1)
			}
		}
	}
}

func (b *build) nameGroups() {
	for i, g := range b.table.groups {
		prefix := hidePrefix
		if g.hide == config.HideRehearse {
			prefix = rehearsePrefix
		}
		g.chain = b.g.name(fmt.Sprintf("%s%d", prefix, i))
	}
}

func (b *build) grants(now time.Duration) {
	for _, d := range b.doors {
		for _, c := range d.cells() {
			b.set(c.describe(), c.elements(now))
		}
	}
}

// localTypes are the destinations that are this machine's (enum in linux/rtnetlink.h).
var localTypes = []uint32{unix.RTN_LOCAL, unix.RTN_BROADCAST, unix.RTN_ANYCAST, unix.RTN_MULTICAST}

// exemptions is the chain that all groups share.
func (b *build) exemptions() {
	chain, local := b.g.name(exemptName), b.g.name(localName)
	var types []element
	for _, t := range localTypes {
		types = append(types, element{key: native32(t)})
	}
	b.set(set{name: local, key: keyFib, size: uint32(len(types))}, types)
	b.add(newChain(chain))
	b.rule(chain, passedOn(local))
	b.allowInterfaces(chain)
	for _, v6 := range []bool{false, true} {
		b.allowSources(chain, v6)
	}
}

func (b *build) allowInterfaces(chain string) {
	var names []element
	for _, n := range b.rules.AlwaysAllowInterfaces {
		key := make([]byte, keyInterface.length)
		copy(key, n)
		names = append(names, element{key: key})
	}
	if len(names) > 0 {
		s := set{name: b.g.name(interfacesName), key: keyInterface}
		b.set(s, names)
		b.rule(chain, allowedInterface(s.name))
	}
}

func (b *build) allowSources(chain string, v6 bool) {
	s := set{name: b.g.name(allow4Name), key: keyIPv4, flags: unix.NFT_SET_INTERVAL}
	if v6 {
		s.name, s.key = b.g.name(allow6Name), keyIPv6
	}
	if edges := intervals(b.rules.AlwaysAllow, v6); len(edges) > 0 {
		b.set(s, edges)
		b.rule(chain, allowedSource(s.name, v6))
	}
}

// chains makes the chain of each group: what is established, who is let in, who is exempt, and what becomes of the
// rest.
func (b *build) chains() {
	b.seenSets()
	for _, g := range b.table.groups {
		b.add(newChain(g.chain))
		b.rule(g.chain, established(g.proto))
		for _, c := range g.cells {
			b.rule(g.chain, granted(c))
		}
		b.rule(g.chain, jump(b.g.name(exemptName)))
		b.rest(g)
	}
}

func (b *build) rest(g *group) {
	switch g.hide {
	case config.HideRehearse:
		for _, d := range g.doors {
			b.rule(g.chain, record(d, seen4Name, false))
			b.rule(g.chain, record(d, seen6Name, true))
		}
		b.rule(g.chain, rule{accept()})
	case config.HideReset:
		b.rule(g.chain, reset(g.proto))
	default:
		b.rule(g.chain, drop())
	}
}

// seenMost bounds the record of a rehearsal, each family: whoever connects gets an element.
const seenMost = 65536

func (b *build) rehearses() bool {
	return slices.ContainsFunc(b.table.groups, func(g *group) bool { return g.hide == config.HideRehearse })
}

func (b *build) seenSets() {
	if b.rehearses() {
		flags := uint32(unix.NFT_SET_TIMEOUT | unix.NFT_SET_EVAL)
		b.set(set{name: seen4Name, flags: flags, key: keySeen4, size: seenMost}, nil)
		b.set(set{name: seen6Name, flags: flags, key: keySeen6, size: seenMost}, nil)
	}
}

// portsName is the map of a protocol's ports.
func portsName(p packet.Proto) string { return p.String() }

func (b *build) ports() {
	b.portMap(packet.TCP, b.table.tcp)
	b.portMap(packet.UDP, b.table.udp)
}

func (b *build) portMap(proto packet.Proto, spans []span) {
	if len(spans) == 0 {
		return
	}
	s := set{name: b.g.name(portsName(proto)), key: keyPort, flags: unix.NFT_SET_INTERVAL | unix.NFT_SET_MAP}
	b.set(s, portElements(spans))
}

// portElements are the edges of spans in order. Each has its end, even where another begins there: the kernel takes a
// beginning within what has none for an overlap.
func portElements(spans []span) []element {
	var list []element
	for _, s := range spans {
		list = append(list, element{key: port(s.first), chain: s.group.chain})
		if s.last < 65535 {
			list = append(list, element{key: port(s.last + 1), end: true})
		}
	}
	return list
}

func port(n uint16) []byte { return []byte{byte(n >> 8), byte(n)} }

// base makes the lease, and the chain that is hooked.
func (b *build) base() {
	name, lease := b.g.name(baseName), b.g.name(leaseName)
	b.set(set{name: lease, flags: unix.NFT_SET_TIMEOUT, key: keyProto}, b.leases())
	b.hold, b.hook = b.hook, b.hold // rule adds to hold
	b.add(newBaseChain(name))
	b.rule(name, fromLoopback())
	b.rule(name, notLeased(lease))
	for _, p := range b.protos() {
		b.rule(name, dispatch(p, b.g.name(portsName(p))))
	}
	if slices.ContainsFunc(b.table.groups, func(g *group) bool { return g.hide != config.HideRehearse }) {
		b.rule(name, readable())
		b.rule(name, truncated())
	}
	b.hold, b.hook = b.hook, b.hold
}

// protos are the protocols that have hidden ports.
func (b *build) protos() []packet.Proto {
	var list []packet.Proto
	if len(b.table.tcp) > 0 {
		list = append(list, packet.TCP)
	}
	if len(b.table.udp) > 0 {
		list = append(list, packet.UDP)
	}
	return list
}

// leases are the elements of the lease: one a protocol, so that to renew it is one small message, however many ports.
func (b *build) leases() []element {
	var list []element
	for _, p := range b.protos() {
		list = append(list, element{key: []byte{byte(p)}, timeout: b.rules.Lease})
	}
	return list
}

// intervals are the edges of the prefixes of one family in order. The kernel refuses intervals that overlap.
func intervals(prefixes []netip.Prefix, v6 bool) []element {
	var own []netip.Prefix
	for _, p := range prefixes {
		if p.IsValid() && p.Addr().Is6() == v6 {
			own = append(own, p.Masked())
		}
	}
	slices.SortFunc(own, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits()
	})
	var list []element
	var last netip.Addr // of what is covered
	for i, p := range own {
		if i > 0 && p.Addr().Compare(last) <= 0 {
			continue // inside the one before
		}
		list = append(list, element{key: keyOf(p.Addr())})
		last = lastOf(p)
		if behind := last.Next(); behind.IsValid() {
			list = append(list, element{key: keyOf(behind), end: true})
		}
	}
	return list
}

// lastOf is the highest address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	ip, _ := netip.AddrFromSlice(b)
	return ip
}
