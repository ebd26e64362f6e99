package daemon

import (
	"testing"

	"knockd/internal/daemontest"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

const one = "[one]\n\tsequence = 1000,3000,2000\n\tcommand = echo %IP%\n"

func knock(t *testing.T, p *netlab.Pair, to ...string) {
	t.Helper()
	netlabtest.Run(t, p.Client, "knock", append([]string{"-d", "20"}, to...)...)
}

func TestAnAddressThatComesLater(t *testing.T) {
	t.Parallel()
	p := netlabtest.NewPair(t)
	d := start(t, p, one)
	netlabtest.Addr(t, p.Server, "eth0", "10.0.7.7/16")
	netlabtest.Check(t, netlab.AddNeighbour(p.Client, "eth0", addr("10.0.7.7"), p.ServerMAC))
	daemontest.Eventually(t, "the new address opens", func() bool {
		knock(t, p, "10.0.7.7", "1000", "3000", "2000")
		return d.Count("one: OPEN SESAME") > 0
	})
}

func TestAnInterfaceThatComesAndGoes(t *testing.T) {
	t.Parallel()
	p := netlabtest.NewPair(t)
	netlabtest.Check(t, netlab.Rename(p.Server, "eth0", "later"))
	d := daemontest.Start(t, p.Server, daemontest.Options{Config: one, Args: []string{"-v", "-i", "eth0"}})
	d.Wait("waiting for eth0 (present: lo, later)")
	netlabtest.Check(t, netlab.SetDown(p.Server, "later"))
	netlabtest.Check(t, netlab.Rename(p.Server, "later", "eth0"))
	d.Wait("waiting for eth0 to come up")
	netlabtest.Check(t, netlab.SetUp(p.Server, "eth0"))
	d.Wait("starting up, listening on eth0")
	for round := 1; round <= 3; round++ {
		reach(t, p)
		want := d.Count("one: OPEN SESAME") + 1
		daemontest.Eventually(t, "a knock opens", func() bool {
			knock(t, p, p.Server4.String(), "1000", "3000", "2000")
			return d.Count("one: OPEN SESAME") >= want
		})
		netlabtest.Check(t, netlab.SetDown(p.Server, "eth0"))
		d.WaitCount("eth0 is gone, not listening on it", round)
		netlabtest.Check(t, netlab.SetUp(p.Server, "eth0"))
		d.WaitCount("listening on eth0\n", round+1)
	}
}

// reach sets the neighbours again, which go with the interface.
func reach(t *testing.T, p *netlab.Pair) {
	t.Helper()
	netlabtest.Check(t, netlab.AddNeighbour(p.Server, "eth0", p.Client4, p.ClientMAC))
	netlabtest.Check(t, netlab.AddNeighbour(p.Client, "eth0", p.Server4, p.ServerMAC))
}

func TestAny(t *testing.T) {
	t.Parallel()
	p := netlabtest.NewPair(t)
	d := daemontest.Start(t, p.Server, daemontest.Options{Config: one, Args: []string{"-v", "-i", "any"}})
	d.Wait("listening on any...")
	knock(t, p, p.Server4.String(), "1000", "3000", "2000")
	d.Wait("10.0.0.2: one: OPEN SESAME")
	knock(t, p, "-6", p.Server6.String(), "1000", "3000", "2000")
	d.Wait("fd00::2: one: OPEN SESAME")
	netlabtest.Run(t, p.Server, "knock", "-d", "20", "127.0.0.1", "1000", "3000", "2000")
	d.Wait("127.0.0.1: one: OPEN SESAME")
}

func TestOnlyIPv4(t *testing.T) {
	t.Parallel()
	p := netlabtest.NewPair(t)
	d := start(t, p, one, "-4")
	knock(t, p, "-6", p.Server6.String(), "1000", "3000", "2000")
	knock(t, p, p.Server4.String(), "1000", "3000", "2000")
	d.Wait("10.0.0.2: one: OPEN SESAME")
	if d.Count("fd00::2") != 0 {
		t.Error("a knock over IPv6 was heard")
	}
}

func TestDebugTellsEachPacket(t *testing.T) {
	t.Parallel()
	p := netlabtest.NewPair(t)
	d := start(t, p, one, "-D")
	knock(t, p, p.Server4.String(), "1000", "9999", "3000")
	d.Wait("10.0.0.2: packet to 10.0.0.1 port 3000:tcp flags syn")
	if d.Count("port 9999") != 0 {
		t.Error("a packet that is in no door is told")
	}
}
