package advice

import (
	"errors"
	"io/fs"
	"net/netip"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"knockd/internal/config"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
)

// ask loads rules and looks at one range.
func ask(t *testing.T, nft string, ports config.PortRange) []Finding {
	t.Helper()
	n := netlabtest.NewNamespace(t)
	load(t, n, nft, "", "")
	return checked(t, n, []Open{{Door: "d", Ports: ports}})
}

func checked(t *testing.T, n *netlab.Namespace, opens []Open) []Finding {
	t.Helper()
	var findings []Finding
	netlabtest.Check(t, n.Do(func() (err error) {
		findings, err = Check(t.Context(), opens)
		return err
	}))
	return findings
}

func TestWording(t *testing.T) {
	for _, test := range []struct {
		name, nft string
		ports     config.PortRange
		problems  []string
	}{
		{
			name:  "one end of a range",
			nft:   "table inet f { chain input { type filter hook input priority 0; policy drop; udp dport 5000-5008 accept; } }",
			ports: config.PortRange{Proto: packet.UDP, First: 5000, Last: 5010},
			problems: []string{
				"udp/5009 and others of udp/5000-5010 would still be dropped by table inet f, chain input (policy drop)",
			},
		},
		{
			name:  "the last port",
			nft:   "table inet f { chain input { type filter hook input priority 0; policy drop; tcp dport 1-65534 accept; } }",
			ports: config.PortRange{Proto: packet.TCP, First: 1, Last: 65535},
			problems: []string{
				"tcp/65535 of tcp/1-65535 would still be dropped by table inet f, chain input (policy drop)",
			},
		},
		{
			name:     "IPv6 alone",
			nft:      "table inet f { chain input { type filter hook input priority 0; policy drop; meta nfproto ipv4 accept; } }",
			ports:    ssh[0].Ports,
			problems: []string{"tcp/22 over IPv6 would still be dropped by table inet f, chain input (policy drop)"},
		},
		{
			name:     "another protocol",
			nft:      "table inet f { chain input { type filter hook input priority 0; policy drop; tcp dport 53 accept; } }",
			ports:    config.PortRange{Proto: packet.UDP, First: 53, Last: 53},
			problems: []string{"udp/53 would still be dropped by table inet f, chain input (policy drop)"},
		},
		{
			name:  "two tables, in the order of the way",
			nft:   "table inet b { chain in { type filter hook input priority 10; policy drop; } }\ntable inet a { chain pre { type filter hook prerouting priority -300; tcp dport 22 drop; } }",
			ports: ssh[0].Ports,
			problems: []string{
				"tcp/22 would still be dropped by table inet a, chain pre (a rule that drops)",
				"tcp/22 would still be dropped by table inet b, chain in (policy drop)",
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var problems []string
			for _, f := range ask(t, test.nft, test.ports) {
				problems = append(problems, f.Problem)
			}
			if !slices.Equal(problems, test.problems) {
				t.Errorf("got %q", problems)
			}
		})
	}
}

// TestFixOfRange: programs write ranges in their own ways.
func TestFixOfRange(t *testing.T) {
	o := Open{Ports: config.PortRange{Proto: packet.UDP, First: 5000, Last: 5010}}
	w, six, denied, sent := wish{Open: o}, wish{Open: o, family: ipv6}, wish{Open: o, by: ruleDrops + " in chain ufw-user-input"}, wish{Open: o}
	sent.to = translation{netip.MustParseAddr("172.17.0.2"), 80}
	for _, test := range []struct{ got, want string }{
		{fixUfw(w), "ufw allow 5000:5010/udp"},
		{fixUfw(denied), "ufw prepend allow 5000:5010/udp"},
		{fixUfw(sent), "ufw route allow proto udp from any to 172.17.0.2 port 80"},
		{fixIptables(sent, "filter", "FORWARD", ""), "iptables -I FORWARD -p udp -m conntrack --ctorigdstport 5000:5010 -j ACCEPT"},
		{fixFirewalld(w), "firewall-cmd --permanent --add-port=5000-5010/udp && firewall-cmd --reload"},
		{fixIptables(six, "filter", "INPUT", ""), "ip6tables -I INPUT -p udp --dport 5000:5010 -j ACCEPT"},
	} {
		if test.got != test.want {
			t.Errorf("got %s, want %s", test.got, test.want)
		}
	}
}

// TestWithoutPrivilege: who may not read the rules is told apart from who can't.
func TestWithoutPrivilege(t *testing.T) {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the thread ends with its goroutine
		none := [2]unix.CapUserData{}
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		if err := unix.Capset(&header, &none[0]); err != nil {
			result <- err
			return
		}
		_, err := Check(t.Context(), ssh)
		result <- err
	}()
	if err := <-result; !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v", err)
	}
}

func TestSample(t *testing.T) {
	for _, test := range []struct {
		first, last uint16
		n           int
	}{{22, 22, 1}, {20, 25, 6}, {1, 64, 64}, {1, 65535, 64}, {65535, 65535, 1}} {
		got := sample(test.first, test.last)
		if len(got) != test.n || got[0] != test.first || got[len(got)-1] != test.last || !slices.IsSorted(got) {
			t.Errorf("%d-%d: %v", test.first, test.last, got)
		}
	}
}

func TestWide(t *testing.T) {
	for _, test := range []struct {
		begin, end []byte
		length     int
		wide       bool
	}{
		{[]byte{8, 0, 0, 0}, []byte{9, 0, 0, 0}, 8, true},
		{[]byte{8, 8, 0, 0}, []byte{8, 9, 0, 0}, 16, false},
		{[]byte{10, 0, 0, 0}, []byte{11, 0, 0, 0}, 8, false},
		{[]byte{100, 64, 0, 0}, []byte{100, 128, 0, 0}, 10, false},
		{[]byte{224, 0, 0, 0}, []byte{240, 0, 0, 0}, 4, false},
	} {
		length := prefixLength(test.begin, test.end)
		if length != test.length || wide(test.begin, length) != test.wide {
			t.Errorf("%v: /%d", test.begin, length)
		}
	}
}
