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

// rulesets are firewalls as people have them. drops is part of the finding over IPv4, empty where the port is open.
func rulesets() []struct{ name, nft, iptables, drops, fix string } {
	return []struct{ name, nft, iptables, drops, fix string }{
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
			nft:   "table inet firewalld { chain filter_INPUT { type filter hook input priority filter + 10; policy accept; ct state { established, related } accept; iifname \"lo\" accept; jump filter_INPUT_ZONES; reject with icmpx admin-prohibited; } chain filter_INPUT_ZONES { goto filter_IN_public; } chain filter_IN_public { jump filter_IN_public_allow; meta l4proto { icmp, ipv6-icmp } accept; return; } chain filter_IN_public_allow { tcp dport 80 accept; } }",
			drops: "table inet firewalld, chain filter_INPUT", fix: "firewall-cmd --permanent --add-port=22/tcp && firewall-cmd --reload",
		},
		{
			name: "our own table",
			nft:  "table inet knockd { chain pre { type filter hook prerouting priority mangle; tcp dport 22 drop; } }",
		},
	}
}

// TestAgainstTheKernel holds what is found against what a connection meets.
func TestAgainstTheKernel(t *testing.T) {
	for _, test := range rulesets() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := netlabtest.NewPair(t)
			load(t, p.Server, test.nft, test.iptables)
			findings := look(t, p.Server)
			if test.drops == "" {
				if len(findings) > 0 {
					t.Errorf("found %+v", findings)
				}
			} else if len(findings) == 0 || !strings.Contains(findings[0].Problem, test.drops) || !strings.HasPrefix(findings[0].Fix, test.fix) {
				t.Errorf("found %+v", findings)
			}
			if test.name == "our own table" {
				return
			}
			if got := connects(t, p); got != (test.drops == "") {
				t.Errorf("a connection: %v", got)
			}
			if strings.HasPrefix(test.fix, "nft ") || strings.HasPrefix(test.fix, "iptables ") {
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

func load(t *testing.T, n *netlab.Namespace, nft, iptables string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules")
	// nft wants a line's end behind a block.
	nft = strings.NewReplacer("; ", "\n", "} chain", "}\nchain", "} }", "}\n}").Replace(nft)
	netlabtest.Check(t, os.WriteFile(path, []byte(nft+iptables), 0o600))
	if nft != "" {
		netlabtest.Run(t, n, "nft", "-f", path)
	}
	if iptables != "" {
		netlabtest.Run(t, n, "sh", "-c", "iptables-nft-restore < "+path)
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
	l, err := p.Server.ListenTCP(netip.AddrPortFrom(p.Server4, port))
	netlabtest.Check(t, err)
	defer func() { _ = l.Close() }()
	connected := false
	netlabtest.Check(t, p.Client.Do(func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
		defer cancel()
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
		if err == nil {
			connected = true
			return conn.Close()
		}
		return nil
	}))
	return connected
}
