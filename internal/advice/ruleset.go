package advice

import (
	"cmp"
	"slices"

	"github.com/google/nftables"
)

// ruleset is the kernel's, as far as it is needed.
type ruleset struct {
	conn *nftables.Conn
	// bases are the filtering base chains that a packet to this machine passes, in the order of its way.
	bases []*nftables.Chain
	// chains are all of them, by table and name.
	chains   map[string]map[string]*nftables.Chain
	rules    map[*nftables.Chain][]*nftables.Rule
	elements map[string][]nftables.SetElement
}

// ours is the table that is left out.
const ours = "knockd"

func key(t *nftables.Table) string { return familyName(t.Family) + " " + t.Name }

func (r *ruleset) load() error {
	chains, err := r.conn.ListChains()
	if err != nil {
		return err
	}
	r.chains = map[string]map[string]*nftables.Chain{}
	for _, c := range chains {
		if r.chains[key(c.Table)] == nil {
			r.chains[key(c.Table)] = map[string]*nftables.Chain{}
		}
		r.chains[key(c.Table)][c.Name] = c
		if passes(c) {
			r.bases = append(r.bases, c)
		}
	}
	slices.SortFunc(r.bases, func(a, b *nftables.Chain) int {
		return cmp.Or(cmp.Compare(*a.Hooknum, *b.Hooknum), cmp.Compare(*a.Priority, *b.Priority))
	})
	return nil
}

// passes tells filtering base chains on the way of a packet to this machine.
func passes(c *nftables.Chain) bool {
	if c.Hooknum == nil || c.Priority == nil || c.Type != nftables.ChainTypeFilter {
		return false
	}
	if c.Table.Name == ours && c.Table.Family == nftables.TableFamilyINet {
		return false
	}
	switch c.Table.Family {
	case nftables.TableFamilyINet, nftables.TableFamilyIPv4, nftables.TableFamilyIPv6:
	default:
		return false
	}
	return *c.Hooknum == *nftables.ChainHookPrerouting || *c.Hooknum == *nftables.ChainHookInput
}

// rulesOf reads a chain's rules, once.
func (r *ruleset) rulesOf(c *nftables.Chain) ([]*nftables.Rule, error) {
	if rules, ok := r.rules[c]; ok {
		return rules, nil
	}
	rules, err := r.conn.GetRules(c.Table, c)
	if err != nil {
		return nil, err
	}
	r.rules[c] = rules
	return rules, nil
}

// elementsOf reads a set, once.
func (r *ruleset) elementsOf(t *nftables.Table, name string) ([]nftables.SetElement, error) {
	id := key(t) + " " + name
	if elements, ok := r.elements[id]; ok {
		return elements, nil
	}
	set, err := r.conn.GetSetByName(t, name)
	if err != nil {
		return nil, err
	}
	elements, err := r.conn.GetSetElements(set)
	if err != nil {
		return nil, err
	}
	r.elements[id] = elements
	return elements, nil
}
