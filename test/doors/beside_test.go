package doors

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"knockd/internal/daemontest"
	"knockd/internal/netlab/netlabtest"
)

// TestBeside runs a native door beside the firewalls that people have. Each lets the port in for everybody: to hide it is
// the door's part.
func TestBeside(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"a table that drops by default": `nft 'table inet filter { chain input { type filter hook input priority 0; policy drop; ct state established,related accept; iif lo accept; meta l4proto ipv6-icmp accept; tcp dport 22 accept; }; }'`,
		"iptables-nft":                  "iptables-nft -P INPUT DROP && iptables-nft -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT && iptables-nft -A INPUT -p tcp --dport 22 -j ACCEPT",
		"iptables-legacy":               "iptables-legacy -P INPUT DROP && iptables-legacy -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT && iptables-legacy -A INPUT -p tcp --dport 22 -j ACCEPT",
		"notrack":                       `nft 'table ip raw { chain pre { type filter hook prerouting priority raw; tcp dport 22 notrack; }; chain out { type filter hook output priority raw; tcp sport 22 notrack; }; }'`,
		"as ufw writes it":              "iptables-nft -P INPUT DROP && iptables-nft -N ufw-user-input && iptables-nft -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT && iptables-nft -A INPUT -j ufw-user-input && iptables-nft -A ufw-user-input -p tcp --dport 22 -j ACCEPT",
		"as firewalld writes it":        `nft 'table inet firewalld { chain filter_IN { tcp dport 22 accept; }; chain filter_INPUT { type filter hook input priority 10; policy accept; ct state established,related accept; iif lo accept; jump filter_IN; meta l4proto ipv6-icmp accept; reject; }; }'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			netlabtest.Run(t, l.Server, "sh", "-c", script)
			l.open(true)
			d := l.start(ssh)
			l.open(false)
			if out := l.knockd("check"); !strings.Contains(out, "good, 1 door, native") {
				t.Errorf("check: %s", out)
			}
			l.knock()
			d.Wait("tcp/22 open")
			l.open(true)
		})
	}
}

// TestCheckNamesWhatDrops: a table that does not let the port in is named, with what to do.
func TestCheckNamesWhatDrops(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.nft("table inet filter { chain input { type filter hook input priority 0; policy drop; ct state established accept; tcp dport 80 accept; }; }")
	netlabtest.Check(t, os.WriteFile(l.conf(), []byte(ssh), 0o600))
	out := l.refused("check")
	if !strings.Contains(out, "tcp/22 would still be dropped by table inet filter, chain input") || !strings.Contains(out, "hint: nft insert rule inet filter input tcp dport 22 accept") {
		t.Errorf("%s", out)
	}
}

// TestAPublishedPort hides what a container runtime publishes by rewriting the destination.
func TestAPublishedPort(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	container := netlabtest.NewNamespace(t)
	connect(t, l, container)
	l.nft("table ip nat { chain pre { type nat hook prerouting priority dstnat; fib daddr type local tcp dport 22 dnat to 172.17.0.2:80; }; }")
	daemontest.Serve(t, container, addrPort("172.17.0.2:80"))
	l.open(true)
	d := l.start(ssh)
	l.open(false)
	l.knock()
	d.Wait("tcp/22 open")
	l.open(true)
}

// TestUserSets puts knockers into sets of a ruleset of the user's own.
func TestUserSets(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	const door = "[ssh]\n\tSequence = 7000,9000,8000\n\tNft_Set = inet filter knockers\n\tOpen_For = 10m\n"
	netlabtest.Check(t, os.WriteFile(l.conf(), []byte(door), 0o600))
	if out := l.refused("check"); !strings.Contains(out, "inet filter knockers") {
		t.Errorf("check of a missing set: %s", out)
	}
	d := l.start(door)
	d.Wait("warning: ")
	if out := l.knockd("status"); !strings.Contains(out, "WARNING") || !strings.Contains(out, "knockers") {
		t.Errorf("status: %s", out)
	}
	l.knock()
	d.Wait("ssh: not opened")
	rules := filepath.Join(l.dir, "rules")
	netlabtest.Check(t, os.WriteFile(rules, []byte("table inet filter {\n set knockers { type ipv4_addr; flags timeout; }\n chain input { type filter hook input priority 0;\n ct state established accept\n ip saddr @knockers accept\n tcp dport 22 drop\n }\n}\n"), 0o600))
	l.nft("-f", rules)
	l.knockd("reload")
	l.eventually(true) // the knock is not forgotten: who knocked is in the set as soon as there is one
	l.knockd("close", "ssh", "10.0.0.2")
	l.open(false)
	l.knock()
	d.Wait("set inet filter knockers open for 10m0s")
	l.open(true)
	if out := l.knockd("status"); strings.Contains(out, "WARNING") {
		t.Errorf("status: %s", out)
	}
	l.nft("delete", "table", "inet", "filter")
	l.nft("table inet filter { set knockers { type ipv6_addr; flags timeout; }; }")
	if out := l.refused("check"); !strings.Contains(out, "knockers") {
		t.Errorf("check of a wrong set: %s", out)
	}
}

// TestInit writes a configuration and lives with it.
func TestInit(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	out := l.knockd("init")
	_, rest, _ := strings.Cut(out, "knock -d 100 ")
	line, _, _ := strings.Cut(rest, "\n")
	fields := strings.Fields(line)
	if len(fields) != 5 || !strings.Contains(out, "knockd try 5m") || !strings.Contains(out, "knockd confirm") {
		t.Fatalf("%s", out)
	}
	info, err := os.Stat(l.conf())
	netlabtest.Check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if out := l.refused("init"); !strings.Contains(out, "left as it is") {
		t.Errorf("%s", out)
	}
	if out := l.knockd("check"); !strings.Contains(out, "good, 1 door, native") {
		t.Errorf("%s", out)
	}
	d := l.start(daemontest.Read(t, l.conf()))
	l.open(false)
	daemontest.Knock(t, l.Client, l.Server4, fields[1:]...)
	d.Wait("tcp/22 open for 1m0s")
	l.open(true)
}
