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
			untouched(t, read(t, path), r)
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
		{"/home/me/iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT", "it runs /home/me/iptables, which is no firewall command"},
		{"iptables -A FORWARD -s %IP% -p tcp --dport 22 -j ACCEPT", "its rule is in the chain FORWARD, not in INPUT"},
		{"iptables -A INPUT -s %IP% -p tcp --dport 22 -j DROP", "its rule does not accept but DROP"},
		{"iptables -A INPUT -p tcp --dport 22 -j ACCEPT", "its rule is not for the knocker's address alone"},
		{"iptables -A INPUT -s %IP% -j ACCEPT", "its rule opens every port to the knocker, and a native door names its ports"},
		{"iptables -A INPUT -i eth0 -s %IP% -p tcp --dport 22 -j ACCEPT", "its rule has -i, which a native door has not"},
		{"iptables -t nat -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT", "its rule is in the table nat"},
		{"iptables -D INPUT 3", "it names a rule by its number"},
		{"iptables -A INPUT ! -s %IP% -p tcp --dport 22 -j ACCEPT", "its rule has !, which a native door has not"},
		{"iptables -L", "its rule has -L, which a native door has not"},
		{"iptables -F INPUT", "its rule has -F, which a native door has not"},
		{"iptables", "its iptables command adds no rule"},
		{"iptables -A INPUT -s %IP% -p tcp --dport 22 -m conntrack --ctstate ESTABLISHED -j ACCEPT", "its rule is not for new connections"},
		{"iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT && iptables -D INPUT -s %IP% -p tcp --dport 23 -j ACCEPT", "its command does several different things"},
		{"iptables -C INPUT -s %IP% -p tcp --dport 22 -j ACCEPT", "its command does several different things"},
		{"iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT &&", "its command uses more of the shell than can be understood for sure"},
		{"iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT &", "its command uses more of the shell than can be understood for sure"},
		{"iptables -A INPUT -s $(echo %IP%) -p tcp --dport 22 -j ACCEPT", "its command uses more of the shell than can be understood for sure"},
		{"sudo", "it runs sudo alone"},
		{"nft add rule inet nat prerouting ip saddr %IP% tcp dport 22 dnat to 10.0.0.1", "its rule is in the chain prerouting, not in input"},
		{"ufw allow from %IP% port 22 to any", "its ufw rule has port 22, which a native door has not"},
		{"ufw allow 22/tcp", "its rule is not for the knocker's address alone"},
		{"ufw deny from %IP%", "its rule does not accept but deny"},
		{"firewall-cmd --permanent --add-port=22/tcp", "it changes the permanent rules of firewalld (--permanent)"},
		{"firewall-cmd --add-service=ssh", "its rule is not for the knocker's address alone"},
		{"iptables -A INPUT -s %IP% -p icmp -j ACCEPT", "its protocol is icmp"},
		{"iptables -A INPUT -s %IP% -p tcp --dport irc -j ACCEPT", "its port irc is no number"},
		{"iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT | tee /log", "its command uses more of the shell than can be understood for sure"},
		{"iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT; mail -s knock root", "it runs mail, which is no firewall command"},
		{"ufw allow from %IP%", "its rule opens every port to the knocker, and a native door names its ports"},
		{"nft add rule inet filter forward ip saddr %IP% tcp dport 22 accept", "its rule is in the chain forward, not in input"},
		{"firewall-cmd --add-source=%IP%", "its rule opens every port to the knocker, and a native door names its ports"},
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
		{`nft add element ip fw knockers \{ %IP% timeout 1d \}`, "", "ip fw knockers"},
		{"nft add element fw knockers {%IP%}", "", "ip fw knockers"},
		{"iptables -C INPUT -s %IP% -p tcp --dport 22 -j ACCEPT 2>/dev/null || iptables -I INPUT -s %IP% -p tcp --dport 22 -j ACCEPT", "tcp/22", ""},
		{"iptables -I INPUT -s %IP% -p tcp --dport 22 -j ACCEPT; sleep 10; iptables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT;", "tcp/22", ""},
		{"iptables -I INPUT -s %IP% -p tcp --dport 22 -j ACCEPT # first rule", "tcp/22", ""},
		{"iptables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT >/dev/null 2>&1 || true", "tcp/22", ""},
		{"iptables -A INPUT -s %IP% -p tcp -m multiport --dports 20:25,22 -j ACCEPT", "tcp/20-25", ""},
		{"ufw allow from %IP% proto tcp to any port 80,443 comment 'by knock'", "tcp/80,tcp/443", ""},
		{`firewall-cmd --add-rich-rule='rule family=ipv4 source address=%IP% port port=22 protocol=tcp accept' --add-rich-rule='rule family=ipv4 source address=%IP% port port=80 protocol=tcp accept'`, "tcp/22,tcp/80", ""},
		{"nft insert rule ip filter INPUT ip saddr %IP% tcp dport { 22, 2222 } ct state new accept", "tcp/22,tcp/2222", ""},
	} {
		e, reason := effectOfLine(test.command)
		if reason != "" || e.String() != test.ports || e.setNames() != test.set {
			t.Errorf("%s:\n  %q %q %s", test.command, e.String(), e.setNames(), reason)
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
		untouched(t, text, r)
	}
	t.Logf("%d doors converted, %d kept", converted, kept)
}

// untouched checks that every line of a door that is kept, and of everything before the first door, is in the new file as
// it was and in its order.
func untouched(t *testing.T, text []byte, r *Result) {
	t.Helper()
	conf, err := config.Parse("x", text)
	if err != nil {
		t.Fatal(err)
	}
	f := split(string(text))
	kept := map[int]bool{}
	for _, k := range r.Kept {
		kept[k.Line] = true
	}
	rest := string(r.NewText)
	for _, d := range conf.Doors {
		if !kept[d.Line] {
			continue
		}
		from, to := f.section(d.Line)
		section := strings.Join(f.lines[from:to], "")
		_, after, ok := strings.Cut(rest, section)
		if !ok {
			t.Fatalf("the lines of [%s] changed:\n%s\nis not in\n%s", d.Name, section, r.NewText)
		}
		rest = after
	}
}

// TestComments: what is no directive of a converted door stays, byte for byte.
func TestComments(t *testing.T) {
	text := "# top \r\n[options]\r\n  logfile=/x\r\n\r\n[open]\r\n# why\r\nsequence=1,3,2\r\n\tcommand =\tiptables -I INPUT -s %IP% -p tcp --dport 22 -j ACCEPT\r\n# end of open\r\n" +
		"[close]\r\nsequence=2,3,1\r\ncommand=iptables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT\r\n\r\n# [old]\r\n# sequence = 1\r\n[options]\r\nusesyslog"
	want := "# top \r\n[options]\r\n  logfile=/x\r\n\r\n[open]\r\n# why\r\nsequence=1,3,2\r\n\topen    =\ttcp/22\r\n\t# It was open until a knock at [close]. Now it closes by itself; what is established lives on.\r\n\topen_for =\t1h\r\n# end of open\r\n" +
		"# [old]\r\n# sequence = 1\r\n[options]\r\nusesyslog"
	r, err := Convert("x", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if string(r.NewText) != want {
		t.Errorf("got %q\nwant %q", r.NewText, want)
	}
}

// TestLastLine: a door whose command ends the file without a line's end.
func TestLastLine(t *testing.T) {
	r, err := Convert("x", []byte("[a]\nsequence = 1,3,2\ncommand = nft add element ip f k { %IP% timeout 1d }"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "[a]\nsequence = 1,3,2\nnft_set = ip f k\nopen_for = 24h"; string(r.NewText) != want {
		t.Errorf("got %q", r.NewText)
	}
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
		for _, k := range r.Kept {
			if strings.Contains(k.Reason, "would not") {
				t.Errorf("converted and taken back: %s", k.Reason)
			}
		}
		holds(t, text, r)
		untouched(t, text, r)
	})
}
