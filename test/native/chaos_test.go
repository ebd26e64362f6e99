package native

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
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

// TestAtAnyMoment does what happens to a daemon in its life, in random order: a stranger never sees the port, and who is
// in stays in for no longer.
func TestAtAnyMoment(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := s.start(ssh)
	s.granted(d)
	granted := time.Now()
	x := s.stranger()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	var done []string
	acts := map[string]func(){
		"reload": func() { s.verb("reload") },
		"hangup": func() { d.Signal(syscall.SIGHUP) },
		"crash":  func() { d.Kill(); d = s.startAsIs() },
		"stop":   func() { d.Stop(); d = s.startAsIs() },
		"flush":  func() { s.nft("flush", "ruleset") },
		// The kernel refuses to remove what another owns.
		"delete": func() { s.nft("add table inet x; delete table inet x") },
		"change": func() { s.write(ssh + fmt.Sprintf("\tMax_Open = %d\n", 2+r.IntN(9))); s.verb("reload") },
		"other":  func() { s.verb("open", "ssh", "10.0.0.77") },
		"hit":    func() { daemontest.Knock(t, s.Client, s.Server4, "7000", "9000") },
	}
	names := []string{"reload", "hangup", "crash", "stop", "flush", "delete", "change", "other", "hit"}
	rounds := 30
	if testing.Short() {
		rounds = 10
	}
	for range rounds {
		name := names[r.IntN(len(names))]
		done = append(done, name)
		acts[name]()
		d.Wait("listening on eth0...")
		time.Sleep(time.Duration(r.IntN(30)) * time.Millisecond)
	}
	x.sawNothing()
	s.want(22, true)
	s.keeps("10.0.0.2", granted, 10*time.Minute)
	if t.Failed() {
		t.Logf("seed %d: %s", seed, strings.Join(done, ", "))
	}
}

// TestManyOverARestart keeps as many grants as a door has room for, over a crash, a reload and a flushed ruleset.
func TestManyOverARestart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.nft("add table inet knockd")
	d := s.start(ssh)
	const most = 4096
	i := netlabtest.NewInjector(t, s.Client, netlab.Interface, s.ServerMAC)
	for n := range most {
		for _, port := range []uint16{7000, 9000, 8000} {
			netlabtest.Check(t, i.SendIP(packettest.Build(packet.Packet{
				Src: netip.AddrFrom4([4]byte{10, 9, byte(n >> 8), byte(n)}), Dst: s.Server4, SrcPort: 12345,
				Port: packet.Port{Proto: packet.TCP, Number: port}, Flags: packet.SYN,
			}, packettest.Options{})))
		}
		if n%256 == 255 {
			d.WaitCount("ssh: tcp/22 open", n+1)
		}
	}
	granted := time.Now()
	all := func(when string) {
		t.Helper()
		longest := 10*time.Minute - time.Since(granted) + time.Second
		open := s.status().Doors[0].Open
		if len(open) != most {
			t.Fatalf("%s: %d grants", when, len(open))
		}
		for _, g := range open {
			if g.Left > longest {
				t.Fatalf("%s: %v left for %s", when, g.Left, g.Source)
			}
		}
	}
	s.verb("reload")
	all("reload")
	d.Kill()
	d = s.startAsIs()
	d.Wait("listening on eth0...")
	all("crash")
	s.nft("flush ruleset")
	d.Wait("was changed or removed by nft")
	daemontest.Eventually(t, "the grants are back", func() bool { return len(s.status().Doors[0].Open) == most })
	all("flush")
	if out := s.refused("open", "ssh", "10.10.0.1"); !strings.Contains(out, "as many grants as Max_Open allows") {
		t.Errorf("%s", out)
	}
}
