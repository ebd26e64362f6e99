package dropin

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"knockd/internal/daemontest"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

const anyone = "[options]\n\tInterface = eth0\n\tLogFile = LOG\n[door]\n\tsequence = 7000,8000:udp,9000\n\tseq_timeout = 25\n\tcommand = true\n"

// run starts a daemon that logs to a file, and waits until it captures.
func run(t *testing.T, p *netlab.Pair, program, text string) (d *daemontest.Daemon, log string) {
	t.Helper()
	dir := t.TempDir()
	log = filepath.Join(dir, "log")
	d = daemontest.Start(t, p.Server, daemontest.Options{Program: program, Config: strings.ReplaceAll(text, "LOG", log), Dir: dir, Args: []string{"-i", "eth0"}})
	waitLog(t, log, "starting up")
	if program == daemontest.Reference {
		settle(t, p, log)
	}
	return d, log
}

// TestClientsOfEither knocks with our client at the reference, and with its client at ours.
func TestClientsOfEither(t *testing.T) {
	for _, test := range []struct{ name, daemon, client string }{
		{"our knock, the reference's knockd", daemontest.Reference, "knock"},
		{"the reference's knock, our knockd", "", "/usr/bin/knock"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := netlabtest.NewPair(t)
			_, log := run(t, p, test.daemon, anyone)
			for from, to := range map[netip.Addr]netip.Addr{p.Client4: p.Server4, p.Client6: p.Server6} {
				netlabtest.Run(t, p.Client, test.client, "-d", "20", to.String(), "7000", "8000:udp", "9000")
				waitLog(t, log, from.String()+": door: OPEN SESAME")
			}
		})
	}
}

// stock is the packaged example, with a log file.
const stock = `[options]
	UseSyslog
	LogFile = LOG

[openSSH]
	sequence    = 7000,8000,9000
	seq_timeout = 5
	command     = /sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT
	tcpflags    = syn

[closeSSH]
	sequence    = 9000,8000,7000
	seq_timeout = 5
	command     = /sbin/iptables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT
	tcpflags    = syn

[openHTTPS]
	sequence    = 12345,54321,24680,13579
	seq_timeout = 5
	command     = /usr/local/sbin/knock_add -i -c INPUT -p tcp -d 443 -f %IP%
	tcpflags    = syn
`

// TestTheStockConfiguration opens and closes ssh by the packaged example's iptables commands.
func TestTheStockConfiguration(t *testing.T) {
	p := netlabtest.NewPair(t)
	ssh := netip.AddrPortFrom(p.Server4, 22)
	daemontest.Serve(t, p.Server, ssh)
	netlabtest.Run(t, p.Server, "iptables", "-A", "INPUT", "-m", "conntrack", "--ctstate", "ESTABLISHED", "-j", "ACCEPT")
	// A rule that is appended must come before what drops: the policy does.
	netlabtest.Run(t, p.Server, "iptables", "-P", "INPUT", "DROP")
	_, log := run(t, p, "", stock)
	if daemontest.Connects(t, p.Client, ssh) {
		t.Error("open before the knock")
	}
	daemontest.Knock(t, p.Client, p.Server4, "7000", "8000", "9000")
	daemontest.Eventually(t, "ssh is open", func() bool { return daemontest.Connects(t, p.Client, ssh) })
	waitLog(t, log, "openSSH: running command: /sbin/iptables -A INPUT -s 10.0.0.2 -p tcp --dport 22 -j ACCEPT")
	daemontest.Knock(t, p.Client, p.Server4, "9000", "8000", "7000")
	daemontest.Eventually(t, "ssh is closed", func() bool { return !daemontest.Connects(t, p.Client, ssh) })
	if text := daemontest.Read(t, log); strings.Contains(text, "closeSSH: Stage 1\n") && strings.Index(text, "closeSSH: Stage 1\n") < strings.Index(text, "openSSH: OPEN SESAME") {
		t.Errorf("the last knock of openSSH is told as closeSSH's first:\n%s", text)
	}
}

// crowd sends hits for many sources.
type crowd struct {
	t *testing.T
	p *netlab.Pair
	i *netlab.Injector
}

func newCrowd(t *testing.T, p *netlab.Pair) *crowd {
	t.Helper()
	return &crowd{t, p, netlabtest.NewInjector(t, p.Client, netlab.Interface, p.ServerMAC)}
}

func (c *crowd) hit(from netip.Addr, port packet.Port) {
	c.t.Helper()
	netlabtest.Check(c.t, c.i.SendIP(packettest.Build(packet.Packet{
		Src: from, Dst: c.p.Server4, SrcPort: 5000, Port: port, Flags: packet.SYN,
	}, packettest.Options{})))
}

func tcp(n uint16) packet.Port { return packet.Port{Proto: packet.TCP, Number: n} }

const plain = "[options]\n\tLogFile = LOG\n[door]\n\tsequence = 7000,8000,9000\n\tseq_timeout = 25\n"

// TestTwoPeople interleaves two knocks, one of them with every SYN sent twice: both open.
func TestTwoPeople(t *testing.T) {
	p := netlabtest.NewPair(t)
	_, log := run(t, p, "", plain)
	c := newCrowd(t, p)
	one, two := netip.MustParseAddr("10.5.0.1"), netip.MustParseAddr("10.5.0.2")
	for _, port := range []uint16{7000, 8000, 9000} {
		c.hit(one, tcp(port))
		c.hit(two, tcp(port))
		c.hit(two, tcp(port)) // a duplicate
	}
	waitLog(t, log, "10.5.0.1: door: OPEN SESAME")
	waitLog(t, log, "10.5.0.2: door: OPEN SESAME")
}

// TestAThousandPeople interleaves a thousand knocks: all open.
func TestAThousandPeople(t *testing.T) {
	const people = 1000
	p := netlabtest.NewPair(t)
	_, log := run(t, p, "", plain)
	c := newCrowd(t, p)
	for _, port := range []uint16{7000, 8000, 9000} {
		for n := range people {
			c.hit(netip.AddrFrom4([4]byte{10, 6, byte(n >> 8), byte(n)}), tcp(port))
		}
	}
	daemontest.Eventually(t, "all open", func() bool {
		return strings.Count(daemontest.Read(t, log), "door: OPEN SESAME") == people
	})
	for n := range people {
		if who := fmt.Sprintf("10.6.%d.%d: door: OPEN SESAME\n", n>>8, n&255); !strings.Contains(daemontest.Read(t, log), who) {
			t.Fatalf("%s is missing", who)
		}
	}
}

// TestOneTimeSequencesOverARestart uses a sequence, restarts, and uses the next: none opens twice, and the last one disables
// the door.
func TestOneTimeSequencesOverARestart(t *testing.T) {
	p := netlabtest.NewPair(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "sequences")
	netlabtest.Check(t, os.WriteFile(file, []byte(" 1000,1001\n 2000,2001\n"), 0o600))
	text := "[options]\n\tLogFile = LOG\n[once]\n\tone_time_sequences = " + file + "\n\tcommand = true\n[other]\n\tsequence = 5000\n"
	d, log := run(t, p, "", text)
	knock := func(ports ...string) { t.Helper(); daemontest.Knock(t, p.Client, p.Server4, ports...) }
	knock("1000", "1001")
	waitLog(t, log, "once: OPEN SESAME")
	if got := daemontest.Read(t, file); got != "#1000,1001\n 2000,2001\n" {
		t.Errorf("%q", got)
	}
	d.Kill()
	_, log = run(t, p, "", text)
	knock("1000", "1001") // used
	knock("2000", "2001")
	waitLog(t, log, "no more sequences left in the one time sequences file for door once --> disabling the door")
	knock("2000", "2001")
	knock("5000")
	waitLog(t, log, "other: OPEN SESAME")
	if n := strings.Count(daemontest.Read(t, log), "once: OPEN SESAME"); n != 1 {
		t.Errorf("opened %d times", n)
	}
	if got := daemontest.Read(t, file); got != "#1000,1001\n#2000,2001\n" {
		t.Errorf("%q", got)
	}
}
