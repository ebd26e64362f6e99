package firewall_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"knockd/internal/config"
	"knockd/internal/firewall"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
)

// A connection from before the table, idle, lives on when the client speaks first, even if conntrack never saw it.
func TestEstablishedSessionLivesOn(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serve(22)
	c, err := l.connect(l.Client4, l.Server4, 22, patience)
	must(t, err)
	defer func() { _ = c.Close() }()
	must(t, l.kernel().Install(t.Context(), rules(ssh(22)), nil))
	l.hidden(l.Client4, 22)
	answers(t, c)
	answers(t, c)
}

// answers fails the test unless the server echoes a line.
func answers(t *testing.T, c net.Conn) {
	t.Helper()
	must(t, c.SetDeadline(time.Now().Add(patience)))
	_, err := c.Write([]byte("hello\n"))
	must(t, err)
	buffer := make([]byte, 16)
	n, err := c.Read(buffer)
	must(t, err)
	if string(buffer[:n]) != "hello\n" {
		t.Fatalf("the server answers %q", buffer[:n])
	}
}

// What was let in lives on when the grant is over.
func TestSessionOutlivesItsGrant(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serve(22)
	k := l.kernel()
	must(t, k.Install(t.Context(), rules(ssh(22)), nil))
	must(t, k.Grant(t.Context(), "ssh", l.Client4, time.Hour))
	c, err := l.connect(l.Client4, l.Server4, 22, patience)
	must(t, err)
	defer func() { _ = c.Close() }()
	must(t, k.Revoke(t.Context(), "ssh", l.Client4))
	l.hidden(l.Client4, 22)
	answers(t, c)
}

func TestLoopbackPasses(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serve(22)
	must(t, l.kernel().Install(t.Context(), rules(ssh(22)), nil))
	for _, to := range []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback(), l.Server4} {
		c, err := dialIn(l.Server, netip.Addr{}, to, 22, patience)
		must(t, err)
		_ = c.Close()
	}
}

func TestAlwaysAllowedInterface(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serve(22)
	k, r := l.kernel(), rules(ssh(22))
	r.AlwaysAllowInterfaces = []string{"eth1", "eth01"}
	must(t, k.Install(t.Context(), r, nil))
	l.hidden(l.Client4, 22)
	r.AlwaysAllowInterfaces = []string{"eth0"}
	must(t, k.Install(t.Context(), r, nil))
	l.opened(l.Client4, 22)
	l.opened(l.Client6, 22)
}

// Reset answers as a closed port does: at once.
func TestResetRefuses(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serve(22)
	door := ssh(22)
	door.Hide = config.HideReset
	door.Ports = append(door.Ports, config.PortRange{Proto: packet.UDP, First: 53, Last: 53})
	k := l.kernel()
	must(t, k.Install(t.Context(), rules(door), nil))
	for client, server := range map[netip.Addr]netip.Addr{l.Client4: l.Server4, l.Client6: l.Server6} {
		if _, err := l.connect(client, server, 22, patience); !refused(err) {
			t.Errorf("%s gets %v instead of a refusal", client, err)
		}
		if _, err := l.ask(client, server, 53, patience); !refused(err) {
			t.Errorf("%s gets %v instead of a refusal over UDP", client, err)
		}
	}
	must(t, k.Grant(t.Context(), "ssh", l.Client4, time.Minute))
	l.opened(l.Client4, 22)
}

func udpDoor(port uint16) firewall.Door {
	return firewall.Door{
		Name: "vpn", Ports: []config.PortRange{{Proto: packet.UDP, First: port, Last: port}}, Admit4: 32, Admit6: 128,
	}
}

// A hidden UDP port: strangers get nothing, those who are let in an answer, and what conntrack knows goes on.
func TestUDP(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serveUDP(5000)
	k := l.kernel()
	must(t, k.Install(t.Context(), rules(udpDoor(5000)), nil))
	if _, err := l.ask(l.Client4, l.Server4, 5000, silence); err == nil {
		t.Fatal("a stranger is answered")
	}
	must(t, k.Grant(t.Context(), "vpn", l.Client4, time.Hour))
	c, err := l.ask(l.Client4, l.Server4, 5000, patience)
	must(t, err)
	defer func() { _ = c.Close() }()
	must(t, k.Revoke(t.Context(), "vpn", l.Client4))
	must(t, askOn(c, patience))
}

// The machine's own flow from a hidden port: the answers to it come in.
func TestUDPFromWithin(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	must(t, l.kernel().Install(t.Context(), rules(udpDoor(5000)), nil))
	serveUDPIn(l.T, l.Client, 6000)
	var c net.Conn
	must(t, l.Server.Do(func() (err error) {
		c, err = net.DialUDP("udp", &net.UDPAddr{Port: 5000}, net.UDPAddrFromAddrPort(netip.AddrPortFrom(l.Client4, 6000)))
		return err
	}))
	defer func() { _ = c.Close() }()
	must(t, askOn(c, patience))
}

// A notrack rule does not make the door blind, nor the port visible.
func TestBesideNotrack(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serve(22)
	l.nft("add table inet raw; add chain inet raw pre { type filter hook prerouting priority raw; }; add rule inet raw pre notrack")
	l.grantOpens()
}

// grantOpens is what must work beside any other ruleset that accepts the port.
func (l *lab) grantOpens() {
	l.Helper()
	k := l.kernel()
	must(l, k.Install(l.Context(), rules(ssh(22)), nil))
	l.hidden(l.Client4, 22)
	l.hidden(l.Client6, 22)
	must(l, k.Grant(l.Context(), "ssh", l.Client4, time.Hour))
	l.opened(l.Client4, 22)
	must(l, k.Remove(l.Context()))
	l.opened(l.Client6, 22)
}

func TestBesideOtherRulesets(t *testing.T) {
	t.Parallel()
	const filter = "add table inet filter; add chain inet filter input { type filter hook input priority 0; policy drop; }; " +
		"add rule inet filter input ct state established,related accept; add rule inet filter input meta l4proto ipv6-icmp accept; " +
		"add rule inet filter input tcp dport 22 accept"
	for name, command := range map[string][]string{
		"default drop":    {"nft", filter},
		"iptables-nft":    {"sh", "-c", "for c in iptables-nft ip6tables-nft; do $c -A INPUT -p tcp --dport 22 -j ACCEPT; $c -A INPUT -p tcp -j REJECT; done"},
		"iptables-legacy": {"sh", "-c", "for c in iptables-legacy ip6tables-legacy; do $c -A INPUT -p tcp --dport 22 -j ACCEPT; $c -A INPUT -p tcp -j REJECT; done"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.serve(22)
			netlabtest.Run(t, l.Server, "env", append([]string{"XTABLES_LOCKFILE=/run/xtables.lock"}, command...)...)
			l.grantOpens()
		})
	}
}

// Another table's drop is never overruled.
func TestAcceptsNothingThatOthersDrop(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serve(22)
	k := l.kernel()
	must(t, k.Install(t.Context(), rules(ssh(22)), nil))
	must(t, k.Grant(t.Context(), "ssh", l.Client4, time.Hour))
	l.opened(l.Client4, 22)
	l.nft("add table inet filter; add chain inet filter input { type filter hook input priority 0; policy drop; }")
	l.hidden(l.Client4, 22)
}

// A port that destination NAT publishes, as container runtimes do, is hidden and opened like any other.
func TestPublishedPort(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serve(8080)
	l.nft("add table ip nat; add chain ip nat pre { type nat hook prerouting priority dstnat; }; " +
		"add rule ip nat pre fib daddr type local tcp dport 22 redirect to :8080")
	l.opened(l.Client4, 22)
	k := l.kernel()
	must(t, k.Install(t.Context(), rules(ssh(22)), nil))
	l.hidden(l.Client4, 22)
	l.opened(l.Client4, 8080)
	must(t, k.Grant(t.Context(), "ssh", l.Client4, time.Hour))
	l.opened(l.Client4, 22)
}

// What is routed through this machine is none of the doors' business.
func TestForwardedTrafficPasses(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	must(t, l.kernel().Install(t.Context(), rules(ssh(22)), nil))
	l.nft("add table inet see; add chain inet see pre { type filter hook prerouting priority 0; }; " +
		"add rule inet see pre tcp dport 22 counter")
	netlabtest.Run(t, l.Client, "ip", "route", "add", "192.0.2.0/24", "via", l.Server4.String())
	_, _ = l.connect(l.Client4, netip.MustParseAddr("192.0.2.1"), 22, silence)
	eventually(t, "the segment behind the door's hook", func() bool { return l.counted("see", "pre") > 0 })
	before := l.counted("see", "pre")
	l.hidden(l.Client4, 22)
	if after := l.counted("see", "pre"); after != before {
		t.Fatalf("%d segments to this machine passed the door's hook", after-before)
	}
}
