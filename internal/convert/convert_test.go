package convert

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"knockd/internal/config"
	"knockd/internal/netlab/netlabtest"
)

func TestMain(m *testing.M) { os.Exit(netlabtest.Leaks(m)) }

var update = flag.Bool("update", false, "write the golden files anew")

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestGolden converts testdata/NAME.conf and compares with testdata/NAME.golden: the diff, then what is kept and why, then
// the notes.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.conf")
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			r, err := Convert("knockd.conf", read(t, path))
			if err != nil {
				t.Fatal(err)
			}
			got := r.Diff
			for _, kept := range r.Kept {
				got += "kept: " + kept.Door + ": " + kept.Reason + "\n"
			}
			for _, note := range r.Notes {
				got += "note: " + note + "\n"
			}
			golden := strings.TrimSuffix(path, ".conf") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := string(read(t, golden)); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			holds(t, read(t, path), r)
		})
	}
}

// holds checks what is true of every conversion: the new file loads, its converted doors are native, and the others mean
// what they meant.
func holds(t *testing.T, text []byte, r *Result) {
	t.Helper()
	before, err := config.Parse("before", text)
	if err != nil {
		t.Fatal(err)
	}
	after, err := config.Parse("after", r.NewText)
	if err != nil {
		t.Fatalf("the new file does not load: %v\n%s", err, r.NewText)
	}
	if len(r.Converted)+len(r.Kept) != len(before.Doors) {
		t.Errorf("%d converted and %d kept of %d", len(r.Converted), len(r.Kept), len(before.Doors))
	}
	kept := map[int]bool{}
	for _, k := range r.Kept {
		kept[k.Line] = true
	}
	var want, got []config.Door
	for _, d := range before.Doors {
		if kept[d.Line] {
			d.Line = 0
			want = append(want, d)
		}
	}
	for _, d := range after.Doors {
		if !d.Native() {
			d.Line = 0
			got = append(got, d)
		}
	}
	natives := 0
	for _, d := range before.Doors {
		if d.Native() {
			natives++
		}
	}
	if natives == 0 && !reflect.DeepEqual(got, want) {
		t.Errorf("doors that were kept changed:\n%+v\nwere\n%+v", got, want)
	}
}

func TestReasons(t *testing.T) {
	for _, test := range []struct{ command, want string }{
		{"/usr/bin/logger %IP%", "it runs logger, which is no firewall command"},
		{"iptables -A FORWARD -s %IP% -p tcp --dport 22 -j ACCEPT", "its rule is in the chain FORWARD, not in INPUT"},
		{"iptables -A INPUT -s %IP% -p tcp --dport 22 -j DROP", "its rule does not accept but DROP"},
		{"iptables -A INPUT -p tcp --dport 22 -j ACCEPT", "its rule is not for the knocker's address alone"},
		{"iptables -A INPUT -s %IP% -j ACCEPT", "its rule opens every port to the knocker, and a native door names its ports"},
		{"iptables -A INPUT -i eth0 -s %IP% -p tcp --dport 22 -j ACCEPT", "its rule has -i, which a native door has not"},
		{"iptables -t nat -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT", "its rule is in the table nat"},
		{"iptables -D INPUT 3", "it deletes a rule by its number"},
		{"iptables -A INPUT -s %IP% -p icmp -j ACCEPT", "its protocol is icmp"},
		{"iptables -A INPUT -s %IP% -p tcp --dport irc -j ACCEPT", "its port irc is no number"},
		{"iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT | tee /log", "its command uses more of the shell than can be understood for sure"},
		{"iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT; mail -s knock root", "it runs mail, which is no firewall command"},
		{"ufw allow from %IP%", "its rule opens every port to the knocker, and a native door names its ports"},
		{"nft add rule inet filter forward ip saddr %IP% tcp dport 22 accept", "its rule is in the chain forward, not in input"},
		{"firewall-cmd --add-source=%IP%", "it runs firewall-cmd with --add-source"},
	} {
		r, err := Convert("x", []byte("[d]\nsequence = 1,3,2\ncommand = "+test.command+"\ncmd_timeout = 10\nstop_command = true\n"))
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Kept) != 1 || r.Kept[0].Reason != test.want {
			t.Errorf("%s:\n  %+v", test.command, r.Kept)
		}
	}
}

func TestEffects(t *testing.T) {
	for _, test := range []struct{ command, ports, set string }{
		{"iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT", "tcp/22", ""},
		{"/sbin/iptables -I INPUT 1 -s %IP%/32 -p tcp -m tcp --dport 22 -m state --state NEW -j ACCEPT", "tcp/22", ""},
		{"sudo -n /usr/sbin/iptables -w 5 -I INPUT --source=%IP% --protocol udp --dport=60000:61000 --jump ACCEPT", "udp/60000-61000", ""},
		{"iptables -A INPUT -s %IP% -p tcp -m multiport --dports 80,443,8000:8010 -j ACCEPT", "tcp/80,tcp/443,tcp/8000-8010", ""},
		{`iptables -A INPUT -s %IP% -p tcp --dport 22 -m comment --comment "by knockd" -j ACCEPT && iptables -A INPUT -s %IP% -p udp --dport 53 -j ACCEPT`, "tcp/22,udp/53", ""},
		{"ufw insert 1 allow from %IP% to any port 22 proto tcp", "tcp/22", ""},
		{"ufw allow proto tcp from %IP% to any port 22", "tcp/22", ""},
		{"ufw allow from %IP% to any port 53", "tcp/53,udp/53", ""},
		{`firewall-cmd --zone=public --add-rich-rule='rule family="ipv4" source address="%IP%" port port="22" protocol="tcp" accept'`, "tcp/22", ""},
		{`firewall-cmd --add-rich-rule 'rule family="ipv4" source address="%IP%" service name="ssh" accept' --timeout 60`, "tcp/22", ""},
		{"nft add element inet filter knockers { %IP% timeout 1h }", "", "inet filter knockers"},
		{"nft insert rule ip filter INPUT ip saddr %IP% tcp dport { 22, 2222 } ct state new accept", "tcp/22,tcp/2222", ""},
	} {
		e, reason := effectOfLine(test.command)
		set := ""
		if e.set != nil {
			set = e.set.String()
		}
		if reason != "" || e.String() != test.ports || set != test.set {
			t.Errorf("%s:\n  %q %q %s", test.command, e.String(), set, reason)
		}
	}
}

// TestRealConfigurations converts what is found in public repositories, where that folder stands beside the checkout.
func TestRealConfigurations(t *testing.T) {
	files, err := filepath.Glob("../../../shared/configs/*.conf")
	if err != nil || len(files) == 0 {
		t.Skip("no folder of real configurations beside the checkout")
	}
	converted, kept := 0, 0
	for _, path := range files {
		text := read(t, path)
		r, err := Convert(path, text)
		if err != nil {
			continue // refused by us and the reference alike
		}
		converted += len(r.Converted)
		kept += len(r.Kept)
		for _, k := range r.Kept {
			t.Logf("%s: %s: %s", filepath.Base(path), k.Door, k.Reason)
		}
		holds(t, text, r)
	}
	t.Logf("%d doors converted, %d kept", converted, kept)
}

func FuzzConvert(f *testing.F) {
	files, err := filepath.Glob("testdata/*.conf")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Convert("x", text)
		if err != nil {
			return
		}
		if len(r.Converted) == 0 && string(r.NewText) != string(text) {
			t.Error("nothing was converted, and the file changed")
		}
		after, err := config.Parse("x", r.NewText)
		if err != nil {
			t.Fatalf("%v\n%s", err, r.NewText)
		}
		_ = after
	})
}
