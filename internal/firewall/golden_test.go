package firewall

import (
	"encoding/hex"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"

	"knockd/internal/config"
	"knockd/internal/packet"
)

var update = flag.Bool("update", false, "write the golden files")

// TestMessages compares the bytes of every message with those on record, each under the nft line that it stands for.
func TestMessages(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for _, g := range goldenMessages(t) {
		fmt.Fprintf(&text, "# nft %s\n%s\n", g.line, dump(g.message))
	}
	compare(t, "messages.golden", text.String())
}

// compare compares with a file of testdata, or writes it.
func compare(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it); got\n%s", path, got)
	}
}

func dump(m netlink.Message) string {
	return fmt.Sprintf("type %#04x flags %#04x\n%s", uint16(m.Header.Type), uint16(m.Header.Flags), hex.Dump(m.Data))
}

type golden struct {
	line    string
	message netlink.Message
}

func goldenMessages(t *testing.T) []golden {
	host := netip.MustParseAddr("192.0.2.7")
	grant := []element{{key: keyOf(host), timeout: time.Minute}}
	door := newCell("ssh", []config.PortRange{{Proto: packet.TCP, First: 22, Last: 22}}, false, 24)
	door.set = "g7_door0_4"
	door6 := newCell("ssh", door.ports, true, 128)
	door6.set = "g7_door0_6"
	span := []span{{first: 22, last: 23, group: &group{chain: "g7_hide0"}}}
	list := []golden{
		{"add table inet knockd { flags owner,persist; }", newTable(tableOwner | tablePersist)},
		{"delete table inet knockd", delTable()},
		{"add chain inet knockd g7_prerouting { type filter hook prerouting priority mangle; policy accept; }", newBaseChain("g7_prerouting")},
		{"add chain inet knockd g7_hide0", newChain("g7_hide0")},
		{"flush chain inet knockd g7_hide0", flushChain("g7_hide0")},
		{"delete chain inet knockd g7_hide0", delChain("g7_hide0")},
		{"add set inet knockd g7_door0_4 { type ipv4_addr; flags timeout; comment \"tcp/22 /24 ssh\"; }", newSet(door.describe(), 1)},
		{"delete set inet knockd g7_door0_4", delSet("g7_door0_4")},
		{"flush map inet knockd g7_tcp", flushSet("g7_tcp")},
		{"add element inet knockd g7_door0_4 { 192.0.2.7 timeout 1m }", addElements(ours("g7_door0_4"), grant)[0]},
		{"delete element inet knockd g7_door0_4 { 192.0.2.7 }", delElements(ours("g7_door0_4"), grant)[0]},
		{"add element inet knockd g7_tcp { 22-23 : goto g7_hide0 }", addElements(ours("g7_tcp"), portElements(span))[0]},
	}
	for _, r := range []struct {
		line, chain string
		rule        rule
	}{
		{"iif lo accept", "g7_prerouting", fromLoopback()},
		{"meta l4proto != @g7_lease accept", "g7_prerouting", notLeased("g7_lease")},
		{"tcp dport vmap @g7_tcp", "g7_prerouting", dispatch(packet.TCP, "g7_tcp")},
		{"meta l4proto != 255 accept", "g7_prerouting", readable()},
		{"frag frag-off 0 drop", "g7_prerouting", truncated()},
		{"tcp flags & (fin|syn|rst|ack) != syn accept", "g7_hide0", established(packet.TCP)},
		{"ct state established,related accept", "g7_hide1", established(packet.UDP)},
		{"ip saddr & 255.255.255.0 @g7_door0_4 accept", "g7_hide0", granted(door)},
		{"ip6 saddr @g7_door0_6 accept", "g7_hide0", granted(door6)},
		{"jump g7_exempt", "g7_hide0", jump("g7_exempt")},
		{"fib daddr type != @g7_local accept", "g7_exempt", passedOn("g7_local")},
		{"iifname @g7_interfaces accept", "g7_exempt", allowedInterface("g7_interfaces")},
		{"ip saddr @g7_allow4 accept", "g7_exempt", allowedSource("g7_allow4", false)},
		{"drop", "g7_hide0", drop()},
		{"reject with tcp reset", "g7_hide0", reset(packet.TCP)},
		{"reject with icmpx port-unreachable", "g7_hide1", reset(packet.UDP)},
		{"update @seen4 { 0x96d5a94f . ip saddr timeout 30d }", "g7_rehearse0", record("ssh", seen4Name, false)},
		{"accept", "g7_rehearse0", rule{&expr.Verdict{Kind: expr.VerdictAccept}}},
	} {
		m, err := newRule(r.chain, r.rule)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, golden{"add rule inet knockd " + r.chain + " " + r.line, m})
	}
	return list
}

// Every element that is to be in the kernel is in a message, and no message has more than the kernel reads.
func TestElementsAreCountedOut(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 500, 501, 4096} {
		var elements []element
		for i := range n {
			elements = append(elements, element{key: []byte{byte(i >> 8), byte(i)}, timeout: time.Second})
		}
		messages := addElements(ours("s"), elements)
		for _, m := range messages {
			if k := len(elementsOf([]netlink.Message{m})); k > elementsMost || k == 0 {
				t.Errorf("a message of %d has %d elements", n, k)
			}
		}
		if got := len(elementsOf(messages)); got != n {
			t.Errorf("of %d elements %d are in the messages", n, got)
		}
	}
}

func TestLabels(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ssh", "a b", "\"x\\", "100%", "", "\x00\xff\n", "/32 tcp/1"} {
		l := label{door: name, bits: 24, ports: []config.PortRange{
			{Proto: packet.TCP, First: 22, Last: 22}, {Proto: packet.UDP, First: 60, Last: 65535},
		}}
		got, ok := parseLabel(l.String())
		if !ok || got.door != name || got.bits != 24 || portsText(got.ports) != "tcp/22,udp/60-65535" {
			t.Errorf("%q becomes %q and then %+v", name, l, got)
		}
	}
	if got := (label{door: strings.Repeat("\x01", 127)}).String(); got != "" {
		t.Errorf("a label that is too long is %q", got)
	}
}

func FuzzLabel(f *testing.F) {
	f.Add("tcp/22,udp/60-70 /32 ssh")
	f.Fuzz(func(t *testing.T, s string) {
		l, ok := parseLabel(s)
		if !ok {
			return
		}
		text := l.String()
		if again, ok := parseLabel(text); text != "" && (!ok || again.String() != text) {
			t.Errorf("%q reads as %q, and that as %q", s, text, again)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{8, 0, 1, 0, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		decode(b, func(_ uint16, value []byte) { total += len(value) + 4 })
		if total > len(b) {
			t.Errorf("%d bytes of attributes in %d bytes", total, len(b))
		}
		_ = elementOf(b)
		_ = commentOf(b)
	})
}

func TestIntervals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prefixes string
		want     string
	}{
		"one":       {"10.0.0.0/8", "10.0.0.0 -11.0.0.0"},
		"inside":    {"10.1.0.0/16 10.0.0.0/8 10.0.0.0/9", "10.0.0.0 -11.0.0.0"},
		"touching":  {"10.0.1.0/24 10.0.0.0/24", "10.0.0.0 -10.0.1.0 10.0.1.0 -10.0.2.0"},
		"last":      {"255.255.255.255/32 255.0.0.0/8", "255.0.0.0"},
		"all":       {"0.0.0.0/0 10.0.0.0/8", "0.0.0.0"},
		"other":     {"fd00::/8", ""},
		"unmasked":  {"10.0.0.9/24", "10.0.0.0 -10.0.1.0"},
		"two apart": {"10.0.0.1/32 10.0.0.3/32", "10.0.0.1 -10.0.0.2 10.0.0.3 -10.0.0.4"},
	} {
		var prefixes []netip.Prefix
		for p := range strings.FieldsSeq(c.prefixes) {
			prefixes = append(prefixes, netip.MustParsePrefix(p))
		}
		var got []string
		for _, e := range intervals(prefixes, false) {
			ip, _ := netip.AddrFromSlice(e.key)
			if e.end {
				got = append(got, "-"+ip.String())
			} else {
				got = append(got, ip.String())
			}
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: got %s, want %s", name, text, c.want)
		}
	}
}
