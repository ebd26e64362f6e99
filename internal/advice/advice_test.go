package advice

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"knockd/internal/config"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
)

func TestMain(m *testing.M) { netlabtest.Main(m) }

const port = 22

// ssh is what the door of every test opens.
var ssh = []Open{{Door: "ssh", Ports: config.PortRange{Proto: packet.TCP, First: port, Last: port}}}

// firewall is one as people have them. drops is part of the first finding, empty where the port is open; fix is how its
// remedy begins. elsewhere is set where a connection would go to another machine, and is not compared.
type firewall struct {
	name, nft, iptables, legacy, drops, fix string
	elsewhere                               bool
}

func rulesets() []firewall {
	return []firewall{
		{name: "none"},
		{
			name:  "default drop",
			nft:   "table inet filter { chain input { type filter hook input priority 0; policy drop; ct state established,related accept; iif lo accept; icmp type echo-request accept; } }",
			drops: "table inet filter, chain input (policy drop)", fix: "nft insert rule inet filter input tcp dport 22 accept",
		},
		{
			name: "default drop with the port accepted",
			nft:  "table inet filter { chain input { type filter hook input priority 0; policy drop; ct state vmap { established : accept, related : accept, invalid : drop }; iifname lo accept; tcp dport { 22, 80, 443 } accept; } }",
		},
		{
			name: "a range and a set",
			nft:  "table inet filter { set open { type inet_service; flags interval; elements = { 20-25, 443 }; } chain input { type filter hook input priority 0; policy drop; ct state new tcp dport @open accept; ct state established accept; } }",
		},
		{
			name:  "a set without the port",
			nft:   "table inet filter { set open { type inet_service; flags interval; elements = { 23-25, 443 }; } chain input { type filter hook input priority 0; policy drop; tcp dport @open accept; } }",
			drops: "policy drop", fix: "nft insert rule",
		},
		{
			name:  "accepted from one network alone",
			nft:   "table ip filter { chain in { type filter hook input priority 0; policy drop; ip saddr 192.168.7.0/24 tcp dport 22 accept; ip saddr { 192.168.9.1, 192.168.9.2 } accept; } }",
			drops: "table ip filter, chain in (policy drop)", fix: "nft insert rule ip filter in tcp dport 22 accept",
		},
		{
			name:  "chains that jump",
			nft:   "table inet f { chain services { tcp dport 80 accept; } chain rest { reject; } chain input { type filter hook input priority 0; ct state established accept; jump services; goto rest; } }",
			drops: "a rule that drops in chain rest", fix: "nft insert rule inet f input",
		},
		{
			name: "chains that jump and accept",
			nft:  "table inet f { chain services { tcp dport vmap { 22 : accept, 80 : accept }; } chain input { type filter hook input priority 0; policy drop; ct state established accept; jump services; drop; } }",
		},
		{
			name:  "dropped before the routing",
			nft:   "table ip raw { chain pre { type filter hook prerouting priority raw; fib daddr type local tcp dport 22 drop; } }",
			drops: "table ip raw, chain pre (a rule that drops)", fix: "nft insert rule ip raw pre",
		},
		{
			name: "not for loopback",
			nft:  "table inet f { chain input { type filter hook input priority 0; iifname \"lo\" drop; } }",
		},
		{
			name:     "iptables with a policy",
			iptables: "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\nCOMMIT\n",
			drops:    "table ip filter, chain INPUT (policy drop)", fix: "iptables -I INPUT -p tcp --dport 22 -j ACCEPT",
		},
		{
			name:     "iptables that accepts",
			iptables: "*filter\n:INPUT DROP [0:0]\n-A INPUT -m state --state ESTABLISHED -j ACCEPT\n-A INPUT -p tcp -m multiport --dports 22,80 -m comment --comment web -j ACCEPT\nCOMMIT\n",
		},
		{
			name:     "as ufw writes it",
			iptables: "*filter\n:INPUT DROP [0:0]\n:ufw-before-input - [0:0]\n:ufw-user-input - [0:0]\n:ufw-reject-input - [0:0]\n-A INPUT -j ufw-before-input\n-A INPUT -j ufw-reject-input\n-A ufw-before-input -i lo -j ACCEPT\n-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A ufw-before-input -j ufw-user-input\n-A ufw-user-input -p tcp --dport 80 -j ACCEPT\nCOMMIT\n",
			drops:    "chain INPUT (policy drop)", fix: "ufw allow 22/tcp",
		},
		{
			name:  "as firewalld writes it",
			nft:   "table inet firewalld { chain filter_INPUT { type filter hook input priority filter + 10; policy accept; ct state { established, related } accept; ct status dnat accept; iifname \"lo\" accept; ct state invalid drop; jump filter_INPUT_ZONES; reject with icmpx admin-prohibited; } chain filter_INPUT_ZONES { goto filter_IN_public; } chain filter_IN_public { jump filter_IN_public_allow; meta l4proto { icmp, ipv6-icmp } accept; return; } chain filter_IN_public_allow { tcp dport 80 accept; } }",
			drops: "table inet firewalld, chain filter_INPUT", fix: "firewall-cmd --permanent --add-port=22/tcp && firewall-cmd --reload",
		},
		{
			name: "networks that can't be on the Internet",
			nft:  "table inet f { chain input { type filter hook input priority 0; ip saddr { 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, 224.0.0.0/3 } drop; ip6 saddr 2001:db8::/32 drop; } }",
		},
		{
			name: "a concatenation can't be followed",
			nft:  "table inet f { chain input { type filter hook input priority 0; tcp dport . ip saddr { 22 . 192.168.7.1 } drop; } }",
		},
		{
			name: "half of the Internet is let in",
			nft:  "table inet f { chain input { type filter hook input priority 0; policy drop; ct state established accept; ip saddr { 8.0.0.0/8, 10.0.0.0/8, 80.0.0.0/7 } accept; ip6 saddr 2a00::/12 accept; ip6 saddr fc00::/7 accept; } }",
		},
		{
			name:  "an element for all others",
			nft:   "table inet f { chain input { type filter hook input priority 0; tcp dport vmap { 80 : accept, * : drop }; } }",
			drops: "a rule that drops", fix: "nft insert rule inet f input",
		},
		{
			name:  "a map of interfaces",
			nft:   "table inet f { chain world { tcp dport 80 accept; } chain input { type filter hook input priority 0; policy drop; iifname vmap { lo : accept, eth0 : jump world }; } }",
			drops: "policy drop", fix: "nft insert rule inet f input",
		},
		{
			name: "a map of interfaces that accepts",
			nft:  "table inet f { chain world { tcp dport 22 accept; ct state established accept; } chain input { type filter hook input priority 0; policy drop; iifname vmap { lo : accept, eth0 : jump world }; } }",
		},
		{
			name: "as many as a limit lets in",
			nft:  "table inet f { chain input { type filter hook input priority 0; policy drop; ct state established accept; tcp dport 22 limit rate 10/second accept; } }",
		},
		{
			name: "what came from a socket of another kind",
			nft:  "table inet f { chain input { type filter hook input priority 0; policy drop; ct state established accept; meta mark 0 tcp dport 22 accept; } }",
		},
		{
			name: "flags and no fragments",
			nft:  "table inet f { chain input { type filter hook input priority 0; policy drop; ip frag-off & 0x1fff != 0 drop; tcp flags & (fin | syn | rst | ack) != syn ct state new drop; meta pkttype { broadcast, multicast } drop; ct state established accept; tcp flags syn tcp dport 22-25 accept; } }",
		},
		{
			name: "kept from conntrack",
			nft:  "table inet f { chain pre { type filter hook prerouting priority raw; tcp dport 22 notrack; } chain input { type filter hook input priority 0; policy drop; ct state untracked accept; } }",
		},
		{
			name: "a dormant table",
			nft:  "table inet f { flags dormant; chain input { type filter hook input priority 0; policy drop; } }",
		},
		{
			name:  "redirected to a port that is dropped",
			nft:   "table ip n { chain pre { type nat hook prerouting priority dstnat; tcp dport 22 redirect to :2222; }\n}\ntable inet f { chain input { type filter hook input priority 0; policy drop; tcp dport 22 accept; } }",
			drops: "tcp/22, sent on to port 2222, over IPv4 would still be dropped by table inet f, chain input (policy drop)",
		},
		{
			name:      "published by a container runtime",
			elsewhere: true,
			nft:       "table inet f { chain input { type filter hook input priority 0; policy drop; ip protocol icmp accept; } }",
			iptables:  "*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n-A DOCKER ! -i docker0 -p tcp -m tcp --dport 22 -j DNAT --to-destination 172.17.0.2:22\nCOMMIT\n",
			drops:     "tcp/22 over IPv6", fix: "nft insert rule inet f input",
		},
		{
			name:      "forwarded to where it is dropped",
			elsewhere: true,
			nft:       "table ip n { chain pre { type nat hook prerouting priority dstnat; fib daddr type local tcp dport 22 dnat to 10.0.0.2:22; }\n}\ntable ip f { chain forward { type filter hook forward priority 0; policy drop; ct state established accept; ip daddr 10.0.0.2 tcp dport 80 accept; } }",
			drops:     "table ip f, chain forward (policy drop)", fix: "nft insert rule ip f forward",
		},
		{
			name:     "iptables in the raw table",
			iptables: "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp --dport 22 -j DROP\nCOMMIT\n",
			drops:    "table ip raw, chain PREROUTING (a rule that drops)", fix: "iptables -t raw -I PREROUTING -p tcp --dport 22 -j ACCEPT",
		},
		{
			name:     "a source port is not a destination port",
			iptables: "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp --sport 53 -j DROP\n-A INPUT -p tcp --tcp-flags ALL NONE -j DROP\n-A INPUT -p tcp ! --syn -m conntrack --ctstate NEW -j DROP\n-A INPUT -m limit --limit 1/min -j LOG\nCOMMIT\n",
		},
		{
			name:   "iptables-legacy with a policy",
			legacy: "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -s 192.168.7.0/24 -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\nCOMMIT\n",
			drops:  "table filter of iptables-legacy, chain INPUT (policy drop)", fix: "iptables-legacy -I INPUT -p tcp --dport 22 -j ACCEPT",
		},
		{
			name:   "iptables-legacy that accepts",
			legacy: "*filter\n:INPUT DROP [0:0]\n:services - [0:0]\n-A INPUT -m state --state ESTABLISHED -j ACCEPT\n-A INPUT -i eth+ -j services\n-A services -p tcp -m multiport --dports 20:25,80 -m comment --comment web -j ACCEPT\nCOMMIT\n",
		},
		{
			name:   "iptables-legacy with a chain that drops",
			legacy: "*filter\n:INPUT ACCEPT [0:0]\n:rest - [0:0]\n:some - [0:0]\n-A INPUT -m state --state ESTABLISHED -j ACCEPT\n-A INPUT -j some\n-A INPUT -g rest\n-A some ! -p tcp -j RETURN\n-A some -p tcp --dport 80 -j ACCEPT\n-A rest -j REJECT\nCOMMIT\n",
			drops:  "chain INPUT (a rule that drops in chain rest)", fix: "iptables-legacy -I INPUT",
		},
		{
			name:   "iptables-legacy returns to its policy",
			legacy: "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp --dport 22 -j RETURN\n-A INPUT -j ACCEPT\nCOMMIT\n",
			drops:  "chain INPUT (policy drop)", fix: "iptables-legacy -I INPUT",
		},
		{
			name:   "iptables-legacy as ufw writes it",
			legacy: "*filter\n:INPUT DROP [0:0]\n:ufw-before-input - [0:0]\n:ufw-user-input - [0:0]\n:ufw-not-local - [0:0]\n-A INPUT -j ufw-before-input\n-A ufw-before-input -i lo -j ACCEPT\n-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A ufw-before-input -m conntrack --ctstate INVALID -j DROP\n-A ufw-before-input -j ufw-not-local\n-A ufw-before-input -d 224.0.0.251/32 -p udp --dport 5353 -j ACCEPT\n-A ufw-before-input -j ufw-user-input\n-A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN\n-A ufw-not-local -m limit --limit 3/min -j LOG\n-A ufw-not-local -j DROP\n-A ufw-user-input -p tcp --dport 80 -j ACCEPT\nCOMMIT\n",
			drops:  "chain INPUT (policy drop)", fix: "ufw allow 22/tcp",
		},
		{
			name:      "iptables-legacy with a translation",
			elsewhere: true,
			legacy:    "*filter\n:INPUT DROP [0:0]\nCOMMIT\n*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp --dport 22 -j DNAT --to-destination 10.0.0.2\nCOMMIT\n",
		},
		{
			name:      "our own table",
			elsewhere: true,
			nft:       "table inet knockd { chain pre { type filter hook prerouting priority mangle; tcp dport 22 drop; } }",
		},
	}
}

// TestAgainstTheKernel holds what is found against what a connection meets.
func TestAgainstTheKernel(t *testing.T) {
	for _, test := range rulesets() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := netlabtest.NewPair(t)
			load(t, p.Server, test.nft, test.iptables, test.legacy)
			findings := look(t, p.Server)
			if test.drops == "" {
				if len(findings) > 0 {
					t.Errorf("found %+v", findings)
				}
			} else if len(findings) == 0 || !strings.Contains(findings[0].Problem, test.drops) || !strings.HasPrefix(findings[0].Fix, test.fix) {
				t.Errorf("found %+v", findings)
			}
			if test.elsewhere {
				return
			}
			if got := connects(t, p); got != (test.drops == "") {
				t.Errorf("a connection: %v", got)
			}
			if strings.HasPrefix(test.fix, "nft ") || strings.HasPrefix(test.fix, "iptables") {
				if len(findings) > 0 {
					applied(t, p, findings[0].Fix)
				}
			}
		})
	}
}

// applied holds a proposal to what it promises.
func applied(t *testing.T, p *netlab.Pair, fix string) {
	t.Helper()
	command, _, _ := strings.Cut(fix, " (")
	netlabtest.Run(t, p.Server, "sh", "-c", command)
	if findings := look(t, p.Server); len(findings) > 0 && !strings.Contains(findings[0].Problem, "IPv6") {
		t.Errorf("after %s: %+v", command, findings)
	}
	if !connects(t, p) {
		t.Errorf("after %s: no connection", command)
	}
}

func load(t *testing.T, n *netlab.Namespace, nft, iptables, legacy string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules")
	// nft wants a line's end behind a block.
	nft = strings.NewReplacer("; ", "\n", "} chain", "}\nchain", "} }", "}\n}", "} table", "}\ntable").Replace(nft)
	for _, rules := range []struct{ text, command string }{
		{nft, "nft -f "}, {iptables, "iptables-nft-restore < "}, {legacy, "iptables-legacy-restore < "},
	} {
		if rules.text != "" {
			netlabtest.Check(t, os.WriteFile(path, []byte(rules.text), 0o600))
			netlabtest.Run(t, n, "sh", "-c", rules.command+path)
		}
	}
}

func look(t *testing.T, n *netlab.Namespace) []Finding {
	t.Helper()
	var findings []Finding
	netlabtest.Check(t, n.Do(func() (err error) {
		findings, err = Check(t.Context(), ssh)
		return err
	}))
	return findings
}

func connects(t *testing.T, p *netlab.Pair) bool {
	t.Helper()
	defer listening(t, p, port)()
	return dials(t, p, port)
}

// listening listens on a port of the server, until the function that it returns is called.
func listening(t *testing.T, p *netlab.Pair, port uint16) func() {
	t.Helper()
	l, err := p.Server.ListenTCP(netip.AddrPortFrom(p.Server4, port))
	netlabtest.Check(t, err)
	return func() { _ = l.Close() }
}

// dials reports whether the client connects to a port of the server.
func dials(t *testing.T, p *netlab.Pair, port uint16) bool {
	t.Helper()
	connected := false
	netlabtest.Check(t, p.Client.Do(func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
		defer cancel()
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", netip.AddrPortFrom(p.Server4, port).String())
		if err == nil {
			connected = true
			return conn.Close()
		}
		return nil
	}))
	return connected
}
