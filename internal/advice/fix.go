package advice

import (
	"fmt"
	"slices"
	"strings"
)

// wish is a port that is to come through. To accept it from everybody is safe: the door hides it first.
type wish struct {
	Open
	family byte
	// by is what drops.
	by string
	// to is where destination NAT sends it; port is 0 where it goes where it was sent. The door hides the way that leads
	// there and no other, so that alone may be accepted: by the port that was asked for.
	to translation
}

// elsewhere reports whether destination NAT sends it somewhere.
func (w wish) elsewhere() bool { return w.to.port != 0 }

// ofUfw reports whether ufw has words for it: it has none for what is sent to another port of this machine.
func (w wish) ofUfw() bool { return !w.elsewhere() || w.to.to.IsValid() }

// fixFirewalld and fixUfw propose the change in the words of whoever made the rules.
func fixFirewalld(w wish) string {
	return fmt.Sprintf("firewall-cmd --permanent --add-port=%s/%s && firewall-cmd --reload", rangeText(w.Open, "-"), w.Ports.Proto)
}

func fixUfw(w wish) string {
	switch {
	case w.elsewhere():
		return fmt.Sprintf("ufw route allow proto %s from any to %s port %d", w.Ports.Proto, w.to.to, w.to.port)
	case strings.Contains(w.by, "ufw-user") || strings.Contains(w.by, "ufw6-user"): // a rule of the user's
		return fmt.Sprintf("ufw prepend allow %s/%s", rangeText(w.Open, ":"), w.Ports.Proto)
	default:
		return fmt.Sprintf("ufw allow %s/%s", rangeText(w.Open, ":"), w.Ports.Proto)
	}
}

// fixIptables is for a chain that iptables made. legacy is the suffix of the program.
func fixIptables(w wish, table, chain, legacy string) string {
	program, port := "iptables"+legacy, "--dport"
	if w.family == ipv6 {
		program = "ip6tables" + legacy
	}
	if table != "filter" {
		program += " -t " + table
	}
	if w.elsewhere() {
		port = "-m conntrack --ctorigdstport"
	}
	return fmt.Sprintf("%s -I %s -p %s %s %s -j ACCEPT", program, chain, w.Ports.Proto, port, rangeText(w.Open, ":"))
}

// fixNft is for rules of hand. To insert is right wherever the rule stands that drops.
func fixNft(w wish, family, table, chain string) string {
	insert := fmt.Sprintf("nft insert rule %s %s %s ", family, table, chain)
	if w.elsewhere() {
		return insert + fmt.Sprintf("meta l4proto %s ct original proto-dst %s accept (the door hides it first)", w.Ports.Proto, rangeText(w.Open, "-"))
	}
	return insert + fmt.Sprintf("%s dport %s accept (the door hides it first), or let the door fill a set of that table with Nft_Set",
		w.Ports.Proto, rangeText(w.Open, "-"))
}

// madeByIptables tells the chains of iptables by their names.
func madeByIptables(table, chain string) bool {
	return slices.Contains([]string{"filter", "mangle", "raw", "security"}, table) &&
		slices.Contains([]string{"INPUT", "PREROUTING", "FORWARD"}, chain)
}

// isUfw: ufw's chains are called so.
func isUfw(chain string) bool {
	return strings.HasPrefix(chain, "ufw-") || strings.HasPrefix(chain, "ufw6-")
}

func rangeText(o Open, between string) string {
	if o.Ports.First == o.Ports.Last {
		return fmt.Sprint(o.Ports.First)
	}
	return fmt.Sprintf("%d%s%d", o.Ports.First, between, o.Ports.Last)
}
