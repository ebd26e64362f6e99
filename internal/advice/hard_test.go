package advice

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"knockd/internal/config"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
)

// hardCase is one ruleset, of nft or made by a script.
type hardCase struct {
	name, nft, script, says string
	quiet                   bool
}

// hard are rulesets that are easy to read wrongly. says is what the finding must contain; quiet is set where none may be
// made, whether the port is open to a stranger or not.
func hard() []hardCase {
	input := func(rules string) string {
		return "table inet f {\n" + "chain input {\ntype filter hook input priority 0; policy drop;\nct state established,related accept\n" + rules + "\n}\n}\n"
	}
	return []hardCase{
		{name: "firewalld's first rules", nft: "table inet firewalld {\nchain filter_INPUT {\ntype filter hook input priority 10; policy accept;\nct state { established, related } accept\nct status dnat accept\niifname \"lo\" accept\nct state invalid drop\njump zones\nreject with icmpx admin-prohibited\n}\nchain zones {\ngoto public\n}\nchain public {\njump allow\nmeta l4proto { icmp, ipv6-icmp } accept\n}\nchain allow {\ntcp dport 80 accept\n}\n}\n", says: "firewalld"},
		{name: "what the library does not know: a socket match", nft: input("socket transparent 1 drop\ntcp dport 22 accept"), quiet: true},
		{name: "an unknown match before a drop", nft: "table inet f {\nchain input {\ntype filter hook input priority 0; policy accept;\nsocket transparent 1 drop\n}\n}\n", quiet: true},
		{name: "an unknown match before an accept", nft: input("rt classid 7 accept"), quiet: true},
		{name: "concatenated, other port", nft: input("ip saddr . tcp dport { 10.0.0.2 . 23, 192.0.2.1 . 22 } accept"), quiet: true},
		{name: "concatenated, this port of all", nft: input("meta l4proto . th dport { tcp . 22, udp . 53 } accept"), quiet: true},
		{name: "concatenated with ranges", nft: input("ip saddr . tcp dport { 10.0.0.0/8 . 20-25 } accept"), quiet: true},
		{name: "neighbouring intervals of a map", nft: input("tcp dport vmap { 1-21 : drop, 22-30 : accept, 31-40 : drop }"), quiet: true},
		{name: "neighbouring intervals of a map, drop", nft: input("tcp dport vmap { 1-21 : accept, 22-30 : drop, 31-65535 : accept }"), says: "drop"},
		{name: "an interval up to the end", nft: input("tcp dport { 10-65535 } accept"), quiet: true},
		{name: "an inverted set", nft: input("tcp dport != { 22, 23 } accept"), says: "policy drop"},
		{name: "an inverted range", nft: input("tcp dport != 20-25 accept"), says: "policy drop"},
		{name: "flags that only a SYN has", nft: input("tcp flags & (fin | syn | rst | ack) == syn tcp dport 22 accept"), quiet: true},
		{name: "a mark", nft: "table inet f {\nchain input {\ntype filter hook input priority 0; policy drop;\nmeta mark 0x7 accept\n}\nchain pre {\ntype filter hook prerouting priority -150; policy accept;\ntcp dport 22 meta mark set 0x7\n}\n}\n", quiet: true},
		{name: "notrack and accept what is untracked", nft: "table inet f {\nchain pre {\ntype filter hook prerouting priority raw; policy accept;\ntcp dport 22 notrack\n}\nchain input {\ntype filter hook input priority 0; policy drop;\nct state untracked accept\n}\n}\n", quiet: true},
		{name: "invalid before tracking", nft: "table inet f {\nchain pre {\ntype filter hook prerouting priority raw; policy accept;\nct state new drop\n}\n}\n", quiet: true},
		{name: "no loopback addresses from outside", nft: "table inet f {\nchain pre {\ntype filter hook prerouting priority -300; policy accept;\nip saddr { 0.0.0.0/8, 10.255.0.0/16, 127.0.0.0/8, 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, 224.0.0.0/3 } drop\nip6 saddr { ::1, 2001:db8::/32, ff00::/8 } drop\n}\n}\n", quiet: true},
		{name: "one interface", nft: input("iifname \"eth0\" tcp dport 22 accept"), quiet: true},
		{name: "interfaces of a map", nft: input("iifname vmap { \"eth0\" : accept, \"lo\" : accept }"), quiet: true},
		{name: "loopback in a set", nft: input("iifname { \"lo\" } accept"), says: "policy drop"},
		{name: "a router's bridge", nft: input("iifname \"br-wan\" tcp dport 22 accept"), quiet: true},
		{name: "a container runtime's bridge", nft: input("iifname \"br-0a1b2c3d4e5f\" tcp dport 22 accept"), says: "policy drop"},
		{name: "IPv6 without an address", nft: "table ip6 f {\nchain input {\ntype filter hook input priority 0; policy drop;\n}\n}\n", script: "ip -6 addr flush dev eth0 scope global", quiet: true},
		{name: "limited", nft: input("tcp dport 22 limit rate 10/second accept"), quiet: true},
		{name: "a set filled by packets", nft: "table inet f {\nset s {\ntype ipv4_addr\nsize 1000\nflags dynamic,timeout\n}\nchain input {\ntype filter hook input priority 0; policy drop;\ntcp dport 22 add @s { ip saddr timeout 10s } accept\n}\n}\n", quiet: true},
		{name: "unicast alone", nft: input("meta pkttype != host accept"), says: "policy drop"},
		{name: "a prerouting policy", nft: "table ip g {\nchain pre {\ntype filter hook prerouting priority -10; policy drop;\ntcp dport 80 accept\n}\n}\n", says: "table ip g, chain pre"},
		{name: "redirected to an accepted port", nft: "table ip n {\nchain pre {\ntype nat hook prerouting priority dstnat; policy accept;\ntcp dport 22 redirect to :2222\n}\n}\n" + input("tcp dport 2222 accept"), quiet: true},
		{name: "published, accepted at the hook of what is passed on", nft: "table ip n {\nchain pre {\ntype nat hook prerouting priority dstnat; policy accept;\ntcp dport 22 dnat to 192.0.2.7:80\n}\n}\n" + input("") + "table ip fw {\nchain passed {\ntype filter hook forward priority 0; policy drop;\nip daddr 192.0.2.7 tcp dport 80 accept\n}\n}\n", quiet: true},
		{name: "published, dropped at the hook of what is passed on", nft: "table ip n {\nchain pre {\ntype nat hook prerouting priority dstnat; policy accept;\ntcp dport 22 dnat to 192.0.2.7:80\n}\n}\ntable ip fw {\nchain passed {\ntype filter hook forward priority 0; policy drop;\n}\n}\n", says: "chain passed"},
		{name: "legacy, accepted", script: "iptables-legacy -P INPUT DROP; iptables-legacy -A INPUT -p tcp -m multiport --dports 20:23,80 -m conntrack --ctstate NEW -j ACCEPT", quiet: true},
		{name: "legacy, a policy", script: "iptables-legacy -A INPUT -i lo -j ACCEPT; iptables-legacy -A INPUT -p tcp --dport 80 -j ACCEPT; iptables-legacy -P INPUT DROP", says: "INPUT"},
		{name: "legacy, a chain", script: "iptables-legacy -N in; iptables-legacy -A INPUT -p tcp -g in; iptables-legacy -A in -p tcp --dport 80 -j ACCEPT; iptables-legacy -A in -p tcp ! --syn -j RETURN; iptables-legacy -A in -j REJECT", says: "INPUT"},
		{name: "legacy, raw", script: "iptables-legacy -t raw -A PREROUTING -p tcp --dport 1:1000 -j DROP", says: "raw"},
		{name: "legacy, other ports", script: "iptables-legacy -A INPUT -p tcp ! --dport 22 -j DROP; iptables-legacy -A INPUT -p udp -j DROP", quiet: true},
		{name: "iptables, not this port", script: "iptables-nft -P INPUT DROP; iptables-nft -A INPUT -p tcp ! --dport 22 -j ACCEPT", says: "policy"},
		{name: "iptables, published and passed on", script: "iptables-nft -t nat -A PREROUTING -p tcp --dport 22 -j DNAT --to-destination 192.0.2.7:80; iptables-nft -P FORWARD DROP", says: "tcp/22, sent on to 192.0.2.7:80,"},
		{name: "iptables, published and accepted", script: "iptables-nft -t nat -A PREROUTING -p tcp --dport 22 -j DNAT --to-destination 192.0.2.7:80; iptables-nft -P INPUT DROP; iptables-nft -P FORWARD DROP; iptables-nft -A FORWARD -m conntrack --ctstate DNAT -j ACCEPT", quiet: true},
		{name: "legacy, redirected", script: "iptables-legacy -t nat -A PREROUTING -p tcp --dport 22 -j REDIRECT --to-ports 2222; iptables-legacy -P INPUT DROP; iptables-legacy -A INPUT -p tcp --dport 22 -j ACCEPT", says: "tcp/22, sent on to port 2222,"},
		{name: "legacy, redirected and accepted", script: "iptables-legacy -t nat -A PREROUTING -p tcp --dport 22 -j REDIRECT --to-ports 2222; iptables-legacy -P INPUT DROP; iptables-legacy -A INPUT -p tcp --dport 2222 -j ACCEPT", quiet: true},
		{name: "iptables, from a port", script: "iptables-nft -P INPUT DROP; iptables-nft -A INPUT -p tcp --sport 1024:65535 --dport 22 -j ACCEPT", quiet: true},
		{name: "iptables, local destinations", script: "iptables-nft -P INPUT DROP; iptables-nft -A INPUT -m addrtype --dst-type LOCAL -p tcp --dport 22 -j ACCEPT", quiet: true},
		{name: "iptables, recent", script: "iptables-nft -A INPUT -p tcp --dport 22 -m recent --name x --set; iptables-nft -A INPUT -p tcp --dport 22 -m recent --name x --update --seconds 60 --hitcount 600 -j DROP", quiet: true},
		{name: "iptables, marks", script: "iptables-nft -A INPUT -p tcp -j MARK --set-mark 3; iptables-nft -A INPUT -j LOG; iptables-nft -A INPUT -p tcp --dport 22 -j DROP", says: "INPUT"},
	}
}

// TestHard: what is found is so, and what can't be known is not said.
func TestHard(t *testing.T) {
	for _, test := range hard() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := netlabtest.NewPair(t)
			dir := t.TempDir()
			if test.nft != "" {
				path := filepath.Join(dir, "rules")
				netlabtest.Check(t, os.WriteFile(path, []byte(test.nft), 0o600))
				netlabtest.Run(t, p.Server, "nft", "-f", path)
			}
			if test.script != "" {
				netlabtest.Run(t, p.Server, "sh", "-ec", "export XTABLES_LOCKFILE="+dir+"/lock; "+test.script)
			}
			var findings []Finding
			netlabtest.Check(t, p.Server.Do(func() (err error) {
				findings, err = Check(t.Context(), []Open{{Door: "ssh", Ports: config.PortRange{Proto: packet.TCP, First: 22, Last: 22}}})
				return err
			}))
			if test.script == "" {
				findings = slices.DeleteFunc(findings, func(f Finding) bool { return strings.Contains(f.Problem, "over IPv6") })
			}
			switch {
			case test.quiet && len(findings) > 0:
				t.Errorf("found %+v", findings)
			case !test.quiet && (len(findings) == 0 || !strings.Contains(findings[0].Problem, test.says)):
				t.Errorf("found %+v, not %q", findings, test.says)
			}
			if len(findings) > 0 && connects(t, p) {
				t.Error("a connection comes through")
			}
		})
	}
}

// TestRedirected: what is proposed for a port that is sent on opens the way that the door hides, and no other.
func TestRedirected(t *testing.T) {
	for _, test := range []struct{ name, script string }{
		{"nft", "nft add table ip n; nft add chain ip n pre '{ type nat hook prerouting priority dstnat; }'; nft add rule ip n pre tcp dport 22 redirect to :2222; " +
			"nft add table inet f; nft add chain inet f input '{ type filter hook input priority 0; policy drop; }'; nft add rule inet f input ct state established accept"},
		{"iptables", "iptables-nft -t nat -A PREROUTING -p tcp --dport 22 -j REDIRECT --to-ports 2222; iptables-nft -P INPUT DROP; " +
			"iptables-nft -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := netlabtest.NewPair(t)
			netlabtest.Run(t, p.Server, "sh", "-ec", test.script)
			findings := look(t, p.Server)
			if len(findings) == 0 {
				t.Fatal("nothing found")
			}
			command, _, _ := strings.Cut(findings[0].Fix, " (")
			netlabtest.Run(t, p.Server, "sh", "-ec", command)
			defer listening(t, p, 2222)()
			if !dials(t, p, 22) {
				t.Errorf("after %s: no connection", command)
			}
			if dials(t, p, 2222) {
				t.Errorf("after %s: a connection past the door", command)
			}
		})
	}
}
