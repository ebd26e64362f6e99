// Package scan sweeps the ports of running daemons, ours and the reference.
package scan

import (
	"math/rand/v2"
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

func TestMain(m *testing.M) { daemontest.Main(m) }

// sweeps are the orders in which all ports are touched, each from a source of its own.
func sweeps() map[string][]uint16 {
	up, down := make([]uint16, 65535), make([]uint16, 65535)
	for n := range up {
		up[n], down[n] = uint16(n+1), uint16(65535-n)
	}
	random := append([]uint16(nil), up...)
	rand.Shuffle(len(random), func(a, b int) { random[a], random[b] = random[b], random[a] })
	return map[string][]uint16{"10.1.0.1": up, "10.1.0.2": down, "10.1.0.3": random}
}

// run sends the sweeps, then a right knock that says that all has been seen.
func run(t *testing.T, p *netlab.Pair) {
	t.Helper()
	i := netlabtest.NewInjector(t, p.Client, netlab.Interface, p.ServerMAC)
	hit := func(from netip.Addr, port uint16) {
		netlabtest.Check(t, i.SendIP(packettest.Build(packet.Packet{
			Src: from, Dst: p.Server4, SrcPort: 40000, Port: packet.Port{Proto: packet.TCP, Number: port}, Flags: packet.SYN,
		}, packettest.Options{})))
	}
	for from, ports := range sweeps() {
		for _, port := range ports {
			hit(netip.MustParseAddr(from), port)
		}
	}
	for _, port := range []uint16{7000, 8000, 9000} {
		hit(p.Client4, port)
	}
}

const sequences = "[up]\n\tsequence = 7000,8000,9000\n%a\n[down]\n\tsequence = 4000,3000,2000\n%b\n[mixed]\n\tsequence = 20000,50000,30000\n%c\n"

func TestSweepsOpenNoNativeDoor(t *testing.T) {
	p := netlabtest.NewPair(t)
	conf := strings.NewReplacer("%a", "\topen = tcp/22", "%b", "\topen = tcp/23", "%c", "\topen = tcp/24").Replace(sequences)
	d := daemontest.Start(t, p.Server, daemontest.Options{Config: conf, Args: []string{"-v", "-i", "eth0"}})
	d.Wait("listening on eth0...")
	run(t, p)
	d.Wait("10.0.0.2: up: OPEN SESAME")
	if n := d.Count("OPEN SESAME"); n != 1 {
		t.Errorf("opened %d times, once for the right knock", n)
	}
	t.Logf("3 sweeps opened native doors %d times", d.Count("OPEN SESAME")-1)
	t.Logf("the same sweeps opened doors of knockd 0.8 %d times", reference(t))
}

// reference counts what the sweeps open of the packaged knockd.
func reference(t *testing.T) int {
	t.Helper()
	p := netlabtest.NewPair(t)
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	command := "\tcommand = true"
	conf := strings.NewReplacer("%a", command, "%b", command, "%c", command).Replace("[options]\n\tLogFile = " + log + "\n" + sequences)
	path := filepath.Join(dir, "knockd.conf")
	netlabtest.Check(t, os.WriteFile(path, []byte(conf), 0o600))
	daemontest.Start(t, p.Server, daemontest.Options{Program: daemontest.Reference, Command: []string{"-c", path, "-i", "eth0"}})
	daemontest.Eventually(t, "the reference captures", func() bool {
		return strings.Count(netlabtest.Run(t, p.Server, "cat", "/proc/net/packet"), "\n") > 1
	})
	run(t, p)
	daemontest.Eventually(t, "the reference has seen it all", func() bool {
		return strings.Contains(daemontest.Read(t, log), "10.0.0.2: up: ")
	})
	return strings.Count(daemontest.Read(t, log), "OPEN SESAME")
}
