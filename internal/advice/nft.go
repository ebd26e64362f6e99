package advice

import (
	"encoding/binary"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// ruleset is the kernel's, as far as it is needed.
type ruleset struct {
	conn *nftables.Conn
	// chains are all of them, by table and name.
	chains map[string]map[string]*nftables.Chain
	// rules are those of a chain, by table and name.
	rules map[string]map[string][]nftRule
	sets  map[string]*set
}

// ours is the table that is left out.
const ours = "knockd"

func key(t *nftables.Table) string { return familyName(t.Family) + " " + t.Name }

func familyName(f nftables.TableFamily) string {
	switch f {
	case nftables.TableFamilyIPv4:
		return "ip"
	case nftables.TableFamilyIPv6:
		return "ip6"
	case nftables.TableFamilyINet:
		return "inet"
	default:
		return "other"
	}
}

// readNft returns the base chains of nftables, and whether a rule keeps packets from conntrack.
func readNft() (guards []guard, untracked bool, err error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, false, err
	}
	r := &ruleset{conn: conn, chains: map[string]map[string]*nftables.Chain{}, sets: map[string]*set{}}
	dormant, err := r.dormant()
	if err != nil {
		return nil, false, err
	}
	chains, err := conn.ListChains()
	if err != nil {
		return nil, false, err
	}
	if r.rules, err = dumpRules(); err != nil {
		return nil, false, err
	}
	for _, c := range chains {
		if r.chains[key(c.Table)] == nil {
			r.chains[key(c.Table)] = map[string]*nftables.Chain{}
		}
		r.chains[key(c.Table)][c.Name] = c
		if at, ok := placeOf(c); ok && !dormant[key(c.Table)] {
			guards = append(guards, r.guard(c, at))
		}
	}
	return guards, r.untracked(), nil
}

// untracked reports whether there is a rule that keeps packets from conntrack, anywhere.
func (r *ruleset) untracked() bool {
	for _, chains := range r.rules {
		for _, rules := range chains {
			if slices.ContainsFunc(rules, func(rule nftRule) bool { return slices.ContainsFunc(rule, keepsOff) }) {
				return true
			}
		}
	}
	return false
}

func keepsOff(e expr.Any) bool {
	switch e := e.(type) {
	case *expr.Notrack:
		return true
	case *expr.Target:
		return e.Name == "CT" || e.Name == "NOTRACK"
	default:
		return false
	}
}

// dormant are the tables whose chains are not hooked in.
func (r *ruleset) dormant() (map[string]bool, error) {
	tables, err := r.conn.ListTables()
	if err != nil {
		return nil, err
	}
	list := map[string]bool{}
	for _, t := range tables {
		// The library reads these flags in the order of this machine's bytes, and they come in that of the network.
		if flags := binary.BigEndian.Uint32(binary.NativeEndian.AppendUint32(nil, t.Flags)); flags&unix.NFT_TABLE_F_DORMANT != 0 {
			list[key(t)] = true
		}
	}
	return list, nil
}

// placeOf tells where a packet that comes in meets a base chain.
func placeOf(c *nftables.Chain) (place, bool) {
	if c.Hooknum == nil || c.Priority == nil || familyName(c.Table.Family) == "other" || key(c.Table) == "inet "+ours {
		return 0, false
	}
	switch hook := *c.Hooknum; {
	case c.Type == nftables.ChainTypeNAT && hook == *nftables.ChainHookPrerouting:
		return translating, true
	case c.Type != nftables.ChainTypeFilter:
		return 0, false
	case hook == *nftables.ChainHookPrerouting:
		return prerouting, true
	case hook == *nftables.ChainHookInput:
		return input, true
	case hook == *nftables.ChainHookForward:
		return forward, true
	}
	return 0, false
}

func (r *ruleset) guard(c *nftables.Chain, at place) guard {
	g := guard{
		place: at, priority: int32(*c.Priority), families: []byte{ipv4, ipv6},
		where:  "table " + key(c.Table) + ", chain " + c.Name,
		follow: func(p *probe) outcome { return r.follow(c, p) },
		fix:    func(w wish) string { return r.fix(w, c) },
	}
	switch c.Table.Family {
	case nftables.TableFamilyIPv4:
		g.families = []byte{ipv4}
	case nftables.TableFamilyIPv6:
		g.families = []byte{ipv6}
	}
	return g
}

func (r *ruleset) fix(w wish, c *nftables.Chain) string {
	switch {
	case c.Table.Name == "firewalld" && !w.elsewhere():
		return fixFirewalld(w)
	case slices.ContainsFunc(r.names(c.Table), isUfw) && c.Table.Name == "filter" && w.ofUfw():
		return fixUfw(w)
	case c.Table.Family != nftables.TableFamilyINet && madeByIptables(c.Table.Name, c.Name):
		return fixIptables(w, c.Table.Name, c.Name, "")
	default:
		return fixNft(w, familyName(c.Table.Family), c.Table.Name, c.Name)
	}
}

func (r *ruleset) names(t *nftables.Table) []string {
	var names []string
	for name := range r.chains[key(t)] {
		names = append(names, name)
	}
	return names
}
