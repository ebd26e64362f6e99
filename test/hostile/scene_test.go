package hostile

import (
	"net/netip"
	"strings"
	"testing"

	"knockd/internal/control"
	"knockd/internal/daemontest"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// The sequence of the door that hostile packets are sent at.
var sequence = []uint16{7000, 9000, 8000}

// scene is a daemon and who sends at it.
type scene struct {
	t        testing.TB
	pair     *netlab.Pair
	daemon   *daemontest.Daemon
	injector *netlab.Injector
}

// newScene starts a daemon with one door of three ports, and a backend.
func newScene(t testing.TB, backend, door string) *scene {
	t.Helper()
	p := netlabtest.NewPair(t)
	for _, n := range []*netlab.Namespace{p.Server, p.Client} {
		netlabtest.Run(t, n, "ip", "link", "set", netlab.Interface, "mtu", "9000")
	}
	config := "[options]\n\tInterface = eth0\n\tCapture = " + backend + "\n[door]\n\tSequence = 7000,9000,8000\n" + door
	d := daemontest.Start(t, p.Server, daemontest.Options{Config: config, Args: []string{"-v"}})
	d.Wait("listening on eth0...")
	i := netlabtest.NewInjector(t, p.Client, netlab.Interface, p.ServerMAC)
	return &scene{t: t, pair: p, daemon: d, injector: i}
}

// hit sends one right packet of a knock.
func (s *scene) hit(from netip.Addr, port uint16) {
	s.t.Helper()
	netlabtest.Check(s.t, s.injector.SendIP(packettest.Build(s.syn(from, port), packettest.Options{})))
}

// syn opens a connection to the server.
func (s *scene) syn(from netip.Addr, port uint16) packet.Packet {
	to := s.pair.Server4
	if from.Is6() {
		to = s.pair.Server6
	}
	return packet.Packet{Src: from, Dst: to, SrcPort: 40000, Port: packet.Port{Proto: packet.TCP, Number: port}, Flags: packet.SYN}
}

// rightKnock knocks from a source, and waits until it opened for the nth time.
func (s *scene) rightKnock(from netip.Addr, nth int) {
	s.t.Helper()
	for _, port := range sequence {
		s.hit(from, port)
	}
	s.daemon.WaitCount("\n"+from.String()+": door: OPEN SESAME", nth)
}

// status asks the daemon.
func (s *scene) status() control.Status {
	s.t.Helper()
	return s.daemon.Status(s.pair.Server)
}

// opened counts, by source, how often the door opened.
func (s *scene) opened() map[string]int {
	opened := map[string]int{}
	for line := range strings.Lines(s.daemon.Output()) {
		if source, ok := strings.CutSuffix(line, ": door: OPEN SESAME\n"); ok {
			opened[source]++
		}
	}
	return opened
}
