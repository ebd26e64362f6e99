// Package advice looks at the other tables of the kernel's firewall, and says where one would still drop what a native door
// opens: our table never accepts for another.
//
// It looks only. What our own table does belongs to package firewall.
package advice

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"knockd/internal/config"
	"knockd/internal/packet"
)

// Open is what a door opens.
type Open struct {
	Door  string
	Ports config.PortRange
}

// Finding is a door whose port would stay shut.
type Finding struct {
	Door string
	// Problem says what drops; Fix what to do.
	Problem, Fix string
}

// Check asks what every base chain but ours does to a new connection from far away to each port. It finds what is dropped
// for sure: a rule that can't be followed counts as one that might accept. Errors are those of netlink; without
// CAP_NET_ADMIN fs.ErrPermission.
func Check(ctx context.Context, opens []Open) ([]Finding, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("opening nftables: %w", err)
	}
	r := &ruleset{conn: conn, rules: map[*nftables.Chain][]*nftables.Rule{}, elements: map[string][]nftables.SetElement{}}
	if err := r.load(); err != nil {
		return nil, fmt.Errorf("reading the ruleset: %w", err)
	}
	var findings []Finding
	for _, o := range opens {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		findings = append(findings, r.check(o)...)
	}
	return findings, nil
}

// check follows packets to the first port of a range: rules that tell ports of one range apart are not looked for.
func (r *ruleset) check(o Open) []Finding {
	var findings []Finding
	for _, family := range []byte{unix.NFPROTO_IPV4, unix.NFPROTO_IPV6} {
		for _, chain := range r.bases {
			if !sees(chain, family) {
				continue
			}
			probe := &probe{family: family, proto: o.Ports.Proto, port: o.Ports.First}
			if out := r.follow(chain, probe, 0); out.certain() && out.dropped {
				findings = add(findings, r.finding(o, family, chain, out))
			}
		}
	}
	return findings
}

// add leaves out what the same chain does to the other family.
func add(findings []Finding, f Finding) []Finding {
	for _, have := range findings {
		if have == f {
			return findings
		}
	}
	return append(findings, f)
}

func sees(c *nftables.Chain, family byte) bool {
	switch c.Table.Family {
	case nftables.TableFamilyINet:
		return true
	case nftables.TableFamilyIPv4:
		return family == unix.NFPROTO_IPV4
	case nftables.TableFamilyIPv6:
		return family == unix.NFPROTO_IPV6
	default:
		return false
	}
}

func (r *ruleset) finding(o Open, family byte, c *nftables.Chain, out outcome) Finding {
	what := o.Ports.String()
	if c.Table.Family == nftables.TableFamilyIPv6 {
		what += " over IPv6"
	}
	return Finding{
		Door:    o.Door,
		Problem: fmt.Sprintf("%s would still be dropped by table %s %s, chain %s (%s)", what, familyName(c.Table.Family), c.Table.Name, c.Name, out.by),
		Fix:     r.fix(o, family, c),
	}
}

// fix proposes the change in the words of whoever made the rules. To accept the port from everybody is safe: the door hides
// it first.
func (r *ruleset) fix(o Open, family byte, c *nftables.Chain) string {
	ports := rangeText(o.Ports, "-")
	switch {
	case c.Table.Name == "firewalld":
		return fmt.Sprintf("firewall-cmd --permanent --add-port=%s/%s && firewall-cmd --reload", ports, o.Ports.Proto)
	case r.hasUfw(c.Table):
		return fmt.Sprintf("ufw allow %s/%s", rangeText(o.Ports, ":"), o.Ports.Proto)
	case c.Table.Name == "filter" && c.Name == "INPUT":
		program := "iptables"
		if family == unix.NFPROTO_IPV6 {
			program = "ip6tables"
		}
		return fmt.Sprintf("%s -I INPUT -p %s --dport %s -j ACCEPT", program, o.Ports.Proto, rangeText(o.Ports, ":"))
	default:
		return fmt.Sprintf("nft insert rule %s %s %s %s dport %s accept (the door hides it first), or let the door fill a set of that table with Nft_Set",
			familyName(c.Table.Family), c.Table.Name, c.Name, o.Ports.Proto, ports)
	}
}

func rangeText(p config.PortRange, between string) string {
	if p.First == p.Last {
		return fmt.Sprint(p.First)
	}
	return fmt.Sprintf("%d%s%d", p.First, between, p.Last)
}

func familyName(f nftables.TableFamily) string {
	switch f {
	case nftables.TableFamilyIPv4:
		return "ip"
	case nftables.TableFamilyIPv6:
		return "ip6"
	default:
		return "inet"
	}
}

// probe is the packet that is followed: the first of a connection from an address that no rule knows, on some interface but
// loopback.
type probe struct {
	family byte
	proto  packet.Proto
	port   uint16
}

// hasUfw: ufw's chains are called so.
func (r *ruleset) hasUfw(t *nftables.Table) bool {
	for name := range r.chains[key(t)] {
		if strings.HasPrefix(name, "ufw") {
			return true
		}
	}
	return false
}
