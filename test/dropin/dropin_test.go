// Package dropin holds our daemon against the packaged knockd 0.8: the same configuration, the same packets, the same log.
package dropin

import (
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"knockd/internal/daemontest"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

func TestMain(m *testing.M) { daemontest.Main(m) }

// scenario is what one daemon is shown.
type scenario struct {
	name string
	// config is the file; LOG and DIR stand for the log file and a directory of the test's.
	config string
	args   []string
	// files are written into DIR first.
	files map[string]string
	hits  []string
	// until is a line that the log ends with; it has come when the scenario is over.
	until string
	// times is how often that line comes, 0 for once.
	times int
	// out is what the commands write to DIR/out.
	out string
}

const options = "[options]\n\tLogFile = LOG\n\tInterface = eth0\n"

const ssh = options + `
[openSSH]
	sequence      = 7000,8000,9000
	seq_timeout   = 3
	tcpflags      = syn
	start_command = echo open %IP% >> DIR/out
	cmd_timeout   = 1
	stop_command  = echo close %IP% >> DIR/out
`

func scenarios() []scenario {
	return []scenario{
		{
			name: "a knock with start and stop", config: ssh,
			hits:  []string{"7000", "8000", "9000"},
			until: "openSSH: running command: echo close", out: "open 10.0.0.2\nclose 10.0.0.2\n",
		},
		{
			name: "a wrong port, then the right knock", config: ssh,
			hits:  []string{"7000", "9000", "7000", "8000", "9000"},
			until: "openSSH: running command: echo close", out: "open 10.0.0.2\nclose 10.0.0.2\n",
		},
		{
			name: "a timeout", config: ssh,
			// The reference notices at the next packet; ours on time.
			hits:  []string{"7000", "8000", "pause", "7000"},
			until: "sequence timeout (stage 2)",
		},
		{
			name: "the stock pair of doors", config: options + `
[openSSH]
	sequence = 7000,8000,9000
	seq_timeout = 5
	command = echo open %IP% >> DIR/out
	tcpflags = syn

[closeSSH]
	sequence = 9000,8000,7000
	seq_timeout = 5
	command = echo close %IP% >> DIR/out
	tcpflags = syn
`,
			hits:  []string{"7000", "8000", "9000", "wait closeSSH", "9000", "8000", "7000"},
			until: "closeSSH: running command", out: "open 10.0.0.2\nclose 10.0.0.2\n",
		},
		{
			name: "udp and tcp in one sequence", config: options + "[mixed]\n\tsequence = 2222:udp,3333:tcp,4444:udp\n\tcommand = true\n",
			hits:  []string{"2222:udp", "3333", "4444:udp"},
			until: "running command: true",
		},
		{
			name: "flags that exclude a packet", config: strings.Replace(ssh, "tcpflags      = syn", "tcpflags      = syn,!ack", 1),
			hits:  []string{"7000", "8000:ack", "8000", "9000:fin", "9000"},
			until: "openSSH: running command: echo close", out: "open 10.0.0.2\nclose 10.0.0.2\n",
		},
		{
			name: "a command that fails", config: options + "[fails]\n\tsequence = 1000,1001\n\tcommand = exit 3\n",
			hits:  []string{"1000", "1001"},
			until: "non-zero status code (3)",
		},
		{
			name: "one-time sequences", config: options + "[once]\n\tone_time_sequences = DIR/once\n\tcommand = true\n",
			// The reference may die after the last line: one more is left.
			files: map[string]string{"once": "# comment\n\n 1000,1001\n 2000,2001:udp\n 3000,3001\n"},
			hits:  []string{"1000", "1001", "wait OPEN SESAME", "1000", "1001", "2000", "2001:udp"},
			until: "running command: true", times: 2,
		},
		{
			name: "one port alone", config: options + "[one]\n\tsequence = 1234\n\tcommand = true\n",
			hits: []string{"1234"}, until: "running command: true",
		},
		{
			name: "a target", config: options + "[target]\n\tsequence = 1000,1001\n\ttarget = 10.0.9.9\n\tcommand = true\n",
			hits: []string{"1000@10.0.9.9", "1001@10.0.9.9"}, until: "running command: true",
		},
		{
			name: "over IPv6", config: options + "[six]\n\tsequence = 1000,1001\n\tcommand = echo four\n\tcommand_6 = echo %IP% >> DIR/out\n",
			hits: []string{"1000@fd00::1", "1001@fd00::1"}, until: "running command: echo fd00::2", out: "fd00::2\n",
		},
		{
			name: "the log file of -g", config: "[options]\n\tInterface = eth0\n[one]\n\tsequence = 1234\n\tcommand = true\n", args: []string{"-g", "LOG"},
			hits: []string{"1234"}, until: "running command: true",
		},
	}
}

func TestSameLog(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			ours := play(t, "", s)
			reference := play(t, daemontest.Reference, s)
			if !slices.Equal(ours.log, reference.log) {
				t.Errorf("ours:\n%s\nthe reference:\n%s", strings.Join(ours.log, "\n"), strings.Join(reference.log, "\n"))
			}
			if ours.once != reference.once {
				t.Errorf("the file of sequences:\n%s\nthe reference's:\n%s", ours.once, reference.once)
			}
		})
	}
}

// result is what a daemon left.
type result struct {
	log  []string
	once string
}

func play(t *testing.T, program string, s scenario) result {
	t.Helper()
	p := netlabtest.NewPair(t)
	dir := t.TempDir()
	logFile := filepath.Join(dir, "log")
	fill := strings.NewReplacer("LOG", logFile, "DIR", dir)
	for name, text := range s.files {
		netlabtest.Check(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	args := []string{"-i", "eth0"}
	for _, a := range s.args {
		args = append(args, fill.Replace(a))
	}
	d := daemontest.Start(t, p.Server, daemontest.Options{Program: program, Config: fill.Replace(s.config), Dir: dir, Args: args})
	waitLog(t, logFile, "starting up, listening on eth0")
	if program == daemontest.Reference {
		settle(t, p, logFile)
	}
	sender := &sender{t: t, pair: p, injector: netlabtest.NewInjector(t, p.Client, netlab.Interface, p.ServerMAC), log: logFile}
	for _, hit := range s.hits {
		sender.hit(hit)
	}
	daemontest.Eventually(t, "the log says "+s.until, func() bool {
		return strings.Count(daemontest.Read(t, logFile), fill.Replace(s.until)) >= max(1, s.times)
	})
	daemontest.Eventually(t, "the commands did "+s.out, func() bool { return daemontest.Read(t, filepath.Join(dir, "out")) == s.out })
	r := result{log: logOf(t, logFile, dir), once: daemontest.Read(t, filepath.Join(dir, "once"))}
	d.Kill()
	return r
}

// settle waits until the reference captures: it says so before it does.
func settle(t *testing.T, p *netlab.Pair, _ string) {
	t.Helper()
	daemontest.Eventually(t, "the reference's packet socket", func() bool {
		text := netlabtest.Run(t, p.Server, "cat", "/proc/net/packet")
		return strings.Count(text, "\n") > 1
	})
	time.Sleep(100 * time.Millisecond) // and its filter, which shows nowhere
}

type sender struct {
	t        *testing.T
	pair     *netlab.Pair
	injector *netlab.Injector
	log      string
	sent     uint16
}

var hitForm = regexp.MustCompile(`^(\d+)(?::(\w+))?(?:@(.+))?$`)

// hit sends one packet: PORT[:udp|:FLAG][@ADDRESS]; "pause" lets a knock time out, "wait TEXT" waits for the log.
func (s *sender) hit(form string) {
	s.t.Helper()
	if form == "pause" {
		time.Sleep(3500 * time.Millisecond)
		return
	}
	if text, ok := strings.CutPrefix(form, "wait "); ok {
		if text == "closeSSH" {
			waitLog(s.t, s.log, "openSSH: running command")
			return
		}
		waitLog(s.t, s.log, text)
		return
	}
	parts := hitForm.FindStringSubmatch(form)
	if parts == nil {
		s.t.Fatalf("hit %q", form)
	}
	s.sent++
	pk := packet.Packet{Src: s.pair.Client4, Dst: s.pair.Server4, SrcPort: 40000 + s.sent, Flags: packet.SYN}
	pk.Port = packet.Port{Proto: packet.TCP, Number: number(s.t, parts[1])}
	switch parts[2] {
	case "udp":
		pk.Port.Proto, pk.Flags = packet.UDP, 0
	case "ack":
		pk.Flags = packet.SYN | packet.ACK
	case "fin":
		pk.Flags = packet.FIN
	}
	if parts[3] != "" {
		pk.Dst = netip.MustParseAddr(parts[3])
		if pk.Dst.Is6() {
			pk.Src = s.pair.Client6
		}
	}
	netlabtest.Check(s.t, s.injector.SendIP(packettest.Build(pk, packettest.Options{})))
	time.Sleep(20 * time.Millisecond) // as people knock; the order alone matters
}

func number(t *testing.T, text string) uint16 {
	t.Helper()
	n := 0
	for _, c := range text {
		n = n*10 + int(c-'0')
	}
	return uint16(n)
}

func waitLog(t *testing.T, path, text string) {
	t.Helper()
	daemontest.Eventually(t, "the log says "+text, func() bool { return strings.Contains(daemontest.Read(t, path), text) })
}

var stamp = regexp.MustCompile(`^\[\d{4}-\d\d-\d\d \d\d:\d\d\] `)

// logOf returns the log's lines without times, empty lines and what only ours says.
// Lines that commands cause come when they come: they are sorted behind the others.
func logOf(t *testing.T, path, dir string) []string {
	t.Helper()
	var lines, commands []string
	for _, line := range strings.Split(daemontest.Read(t, path), "\n") {
		if line == "" {
			continue
		}
		if !stamp.MatchString(line) {
			t.Errorf("a line without its time: %q", line)
		}
		line = strings.ReplaceAll(stamp.ReplaceAllString(line, ""), dir, "DIR")
		switch {
		case strings.HasPrefix(line, "warning: "), strings.HasPrefix(line, "capturing with "), strings.Contains(line, "its output:"):
		case strings.Contains(line, "running command"), strings.Contains(line, "non-zero"), strings.Contains(line, "command timeout"):
			commands = append(commands, line)
		default:
			lines = append(lines, line)
		}
	}
	return append(lines, commands...)
}
