// Package steady lets a daemon live through what happens all the time, and looks whether it grows.
package steady

import (
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"knockd/internal/daemontest"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

func TestMain(m *testing.M) { daemontest.Main(m) }

// doors open by command, with a closing soon after, and by nftables.
const doors = `
[door]
	Sequence = 7000,9000,8000
	Seq_Timeout = 25
	Start_Command = true
	Stop_Command = true
	Cmd_Timeout = 1
[native]
	Sequence = 2000,4000,3000
	Open = tcp/22
	Open_For = 1
`

// TestSteady: knocks, reloads and an interface that goes and comes, again and again; KNOCKD_SOAK=10m says for how long. At
// the end the daemon holds what it held once it was warm: memory, threads, descriptors.
func TestSteady(t *testing.T) {
	for _, backend := range daemontest.Backends() {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			l := newLife(t, backend)
			for range 3 {
				l.round()
			}
			before := l.atRest()
			for end := time.Now().Add(length(t)); time.Now().Before(end); {
				l.round()
			}
			l.atRest()
			l.daemon.SameUsage(t, before, memorySlack)
			t.Logf("%d knocks, %d reloads, %d times down and up", l.knocks, 2*l.rounds, l.rounds)
		})
	}
}

// memorySlack is what the collector's heap may differ by, in bytes.
const memorySlack = 16 << 20

func length(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("KNOCKD_SOAK")
	if text == "" {
		return 5 * time.Second
	}
	d, err := time.ParseDuration(text)
	netlabtest.Check(t, err)
	return d
}

// life is what happens to a daemon all the time.
type life struct {
	t              *testing.T
	pair           *netlab.Pair
	daemon         *daemontest.Daemon
	injector       *netlab.Injector
	config         string
	rounds, knocks int
}

func newLife(t *testing.T, backend string) *life {
	t.Helper()
	l := &life{t: t, pair: netlabtest.NewPair(t), config: "[options]\n\tInterface = eth0\n\tCapture = " + backend + doors}
	l.daemon = daemontest.Start(t, l.pair.Server, daemontest.Options{Config: l.config, Args: []string{"-v"}})
	l.daemon.Wait("listening on eth0...")
	l.injector = netlabtest.NewInjector(t, l.pair.Client, netlab.Interface, l.pair.ServerMAC)
	return l
}

// round is a handful of knocks, a flap, and a reload with a file that changed.
func (l *life) round() {
	l.t.Helper()
	l.rounds++
	for n := range 8 {
		from := netip.AddrFrom4([4]byte{10, 0, byte(20 + l.rounds%200), byte(n + 1)})
		l.knock(from, 7000, 9000, 8000)
		l.knock(from, 2000, 4000, 3000)
	}
	l.daemon.WaitCount(": door: OPEN SESAME", l.knocks/2)
	l.daemon.WaitCount(": native: OPEN SESAME", l.knocks/2)
	l.flap()
	l.reload()
}

// knock sends a whole knock.
func (l *life) knock(from netip.Addr, ports ...uint16) {
	l.t.Helper()
	for _, port := range ports {
		netlabtest.Check(l.t, l.injector.SendIP(packettest.Build(packet.Packet{
			Src: from, Dst: l.pair.Server4, SrcPort: 40000,
			Port: packet.Port{Proto: packet.TCP, Number: port}, Flags: packet.SYN,
		}, packettest.Options{})))
	}
	l.knocks++
}

// flap takes the interface down and up, and waits until the daemon listens again.
func (l *life) flap() {
	l.t.Helper()
	netlabtest.Check(l.t, netlab.SetDown(l.pair.Server, netlab.Interface))
	l.daemon.WaitCount("eth0 is gone", l.rounds)
	netlabtest.Check(l.t, netlab.SetUp(l.pair.Server, netlab.Interface))
	netlabtest.Check(l.t, netlab.WaitUp(l.pair.Server, netlab.Interface))
	l.daemon.WaitCount("listening on eth0\n", l.rounds+1) // one is of the start
}

// reload alternates between two files.
func (l *life) reload() {
	l.t.Helper()
	text := strings.Replace(l.config, "Seq_Timeout = 25", "Seq_Timeout = 2"+string('5'+rune(l.rounds%2)), 1)
	l.daemon.Rewrite(text)
	l.daemon.Signal(syscall.SIGHUP)
	l.daemon.WaitCount("re-reading config file", 2*l.rounds-1)
	// This one returns once it is in force: a knock at a door that changes would begin anew.
	netlabtest.Run(l.t, l.pair.Server, "knockd", "reload", "-c", l.daemon.Config)
}

// atRest waits until every door is closed, and tells what the daemon holds then.
func (l *life) atRest() daemontest.Usage {
	l.t.Helper()
	daemontest.Eventually(l.t, "every door is closed", func() bool {
		for _, door := range l.daemon.Status(l.pair.Server).Doors {
			if len(door.Open) > 0 {
				return false
			}
		}
		return true
	})
	return l.daemon.Usage()
}
