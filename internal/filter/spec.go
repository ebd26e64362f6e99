// Package filter says which packets leave the kernel: it compiles the doors to a classic BPF program, and to a table of
// ports for eBPF.
//
// It is pure: attaching programs and filling maps belong to package capture. A filter may let through more than the
// doors ask for, never less; what a packet means is decided by package knock, which looks at every one again.
package filter

import (
	"net/netip"
	"slices"

	"knockd/internal/decoy"
	"knockd/internal/packet"
)

// Spec is what is to be let through: packets to an own address or a rule's target, that a rule or the decoys admit.
type Spec struct {
	// Own are the addresses of the interfaces listened on.
	Own    []netip.Addr
	Rules  []Rule
	Decoys []*decoy.Set
	// NoVLAN refuses frames with a VLAN id: they count only on the VLAN's own interface. Only Classic heeds it;
	// Admits and Compile don't see frames.
	NoVLAN bool
}

// Rule is what one door listens to.
type Rule struct {
	// Target is the destination; the zero Addr: any of Spec.Own.
	Target netip.Addr
	// Flags bind TCP packets only.
	Flags packet.FlagMatch
	Ports []packet.Port
	// Once is set for a door of one port: a single packet opens it, so none may be held back in the kernel.
	Once bool
}

// Admits reports whether p is to be let through. It is the meaning of a Spec told plainly, and takes time in proportion
// to it.
func (s Spec) Admits(p *packet.Packet) bool {
	return s.admitsDestination(p.Dst) && (s.admitsRule(p) || s.admitsDecoy(p))
}

func (s Spec) admitsDestination(dst netip.Addr) bool {
	for _, own := range s.Own {
		if plain(own) == dst {
			return true
		}
	}
	return slices.ContainsFunc(s.Rules, func(r Rule) bool { return r.Target.IsValid() && plain(r.Target) == dst })
}

func (s Spec) admitsRule(p *packet.Packet) bool {
	return slices.ContainsFunc(s.Rules, func(r Rule) bool {
		return slices.Contains(r.Ports, p.Port) && (p.Port.Proto != packet.TCP || r.Flags.Admits(p.Flags))
	})
}

func (s Spec) admitsDecoy(p *packet.Packet) bool {
	if p.Port.Proto == packet.TCP && !p.Flags.OpensConnection() {
		return false
	}
	return slices.ContainsFunc(s.Decoys, func(d *decoy.Set) bool { return d.Contains(p.Port) })
}

// destinations returns own addresses and targets, sorted, each once.
func (s Spec) destinations() []netip.Addr {
	all := make([]netip.Addr, 0, len(s.Own)+1)
	for _, a := range s.Own {
		all = append(all, plain(a))
	}
	for _, r := range s.Rules {
		if r.Target.IsValid() {
			all = append(all, plain(r.Target))
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// plain is an address as it stands in a packet: without a zone, and IPv4 as such.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
