package advice

import (
	"fmt"
	"slices"
	"strings"
)

// To accept the port from everybody is safe: the door hides it first.

// fixFirewalld and fixUfw propose the change in the words of whoever made the rules.
func fixFirewalld(o Open) string {
	return fmt.Sprintf("firewall-cmd --permanent --add-port=%s/%s && firewall-cmd --reload", rangeText(o, "-"), o.Ports.Proto)
}

func fixUfw(o Open) string {
	return fmt.Sprintf("ufw allow %s/%s", rangeText(o, ":"), o.Ports.Proto)
}

// fixIptables is for a chain that iptables made. legacy is the suffix of the program.
func fixIptables(o Open, family byte, table, chain, legacy string) string {
	program := "iptables" + legacy
	if family == ipv6 {
		program = "ip6tables" + legacy
	}
	if table != "filter" {
		program += " -t " + table
	}
	return fmt.Sprintf("%s -I %s -p %s --dport %s -j ACCEPT", program, chain, o.Ports.Proto, rangeText(o, ":"))
}

// fixNft is for rules of hand. To insert is right wherever the rule stands that drops.
func fixNft(o Open, family, table, chain string) string {
	return fmt.Sprintf("nft insert rule %s %s %s %s dport %s accept (the door hides it first), or let the door fill a set of that table with Nft_Set",
		family, table, chain, o.Ports.Proto, rangeText(o, "-"))
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
