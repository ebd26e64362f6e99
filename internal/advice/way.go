package advice

import (
	"cmp"
	"slices"

	"golang.org/x/sys/unix"
)

const (
	ipv4 = unix.NFPROTO_IPV4
	ipv6 = unix.NFPROTO_IPV6
)

// place is where on its way a packet meets a chain.
type place int

// The places of a packet that comes in, in the order of its way.
const (
	prerouting place = iota
	translating
	translated
	input
	forward
)

// translation at prerouting has this priority (NF_IP_PRI_NAT_DST): what has a later one sees the new destination.
const translationPriority = -100

// trackingPriority is that at which conntrack sees a packet first (NF_IP_PRI_CONNTRACK).
const trackingPriority = -200

// guard is one base chain.
type guard struct {
	place    place
	priority int32
	// families that the chain sees.
	families []byte
	// where names it: "table inet filter, chain input".
	where  string
	follow func(*probe) outcome
	fix    func(w wish) string
}

func (g *guard) sees(family byte) bool { return slices.Contains(g.families, family) }

// way is every chain that a packet passes, in the order of its way.
type way struct {
	guards []guard
	// untracked is set where a rule keeps packets from conntrack.
	untracked bool
}

func newWay(guards []guard, untracked bool) way {
	for i := range guards {
		if g := &guards[i]; g.place == prerouting && g.priority > translationPriority {
			g.place = translated
		}
	}
	slices.SortStableFunc(guards, func(a, b guard) int {
		return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(a.priority, b.priority))
	})
	return way{guards: guards, untracked: untracked}
}

// drop is what a guard does for sure to ports of a range.
type drop struct {
	guard  int
	family byte
	by     string
	// to is where destination NAT sends it; port is 0 where it goes where it was sent.
	to    translation
	ports []uint16
}

// check follows packets to the ports of a range.
func (w way) check(o Open, families []byte) []Finding {
	var drops []drop
	ports := sample(o.Ports.First, o.Ports.Last)
	for _, family := range families {
		for _, port := range ports {
			drops = w.meet(drops, &probe{family: family, proto: o.Ports.Proto, port: port, asked: port, untracked: w.untracked})
		}
	}
	return w.findings(o, families, len(ports), drops)
}

// most bounds the ports of a range that are followed.
const most = 64

// sample are all ports of a range, or some that are spread over it, both ends among them.
func sample(first, last uint16) []uint16 {
	span := int(last) - int(first)
	n := min(span, most-1)
	ports := []uint16{first}
	for i := 1; i <= n; i++ {
		ports = append(ports, first+uint16(span*i/n))
	}
	return ports
}

// meet takes a packet along its way, and notes every guard that drops it for sure.
func (w way) meet(drops []drop, p *probe) []drop {
	drops = w.at(drops, prerouting, p)
	next, at, ok := w.translate(p)
	if !ok {
		return drops
	}
	drops = w.at(drops, translated, next)
	return w.at(drops, at, next)
}

func (w way) at(drops []drop, at place, p *probe) []drop {
	for i := range w.guards {
		g := &w.guards[i]
		if g.place != at || !g.sees(p.family) {
			continue
		}
		p.early = g.place == prerouting && g.priority <= trackingPriority
		if out := g.follow(p); out.certain() && out.dropped {
			drops = note(drops, drop{guard: i, family: p.family, by: out.by, to: p.elsewhere(), ports: []uint16{p.asked}})
		}
	}
	return drops
}

// note adds a port to what is known of the same guard.
func note(drops []drop, d drop) []drop {
	for i := range drops {
		if have := &drops[i]; have.guard == d.guard && have.family == d.family && have.by == d.by && have.to == d.to {
			have.ports = append(have.ports, d.ports...)
			return drops
		}
	}
	return append(drops, d)
}

// translate asks destination NAT where the packet goes. It reports false where that is not certain: then nothing further on
// the way is.
func (w way) translate(p *probe) (*probe, place, bool) {
	for i := range w.guards {
		g := &w.guards[i]
		if g.place != translating || !g.sees(p.family) {
			continue
		}
		p.early = false
		out := g.follow(p)
		switch {
		case !out.translated:
			continue
		case !out.certain() || out.ambiguous:
			return nil, 0, false
		}
		return p.behind(out.to)
	}
	return p, input, true
}

// elsewhere is where destination NAT sends the packet.
func (p *probe) elsewhere() translation {
	if !p.translated {
		return translation{}
	}
	return translation{to: p.to, port: p.port}
}

// behind is the packet after destination NAT.
func (p *probe) behind(t translation) (*probe, place, bool) {
	next := *p
	next.translated = true
	if t.port != 0 {
		next.port = t.port
	}
	if !t.to.IsValid() {
		return &next, input, true
	}
	if t.to.IsLoopback() || isOwn(t.to) {
		return nil, 0, false
	}
	next.to = t.to
	return &next, forward, true
}
