package daemon

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"knockd/internal/config"
	"knockd/internal/knock"
	"knockd/internal/packet"
)

// TestSweeps sweeps every port of the machine a thousand times, in order, backwards and at random, and opens no native door.
// The same sweeps at doors without decoys are counted beside it.
func TestSweeps(t *testing.T) {
	sweeps := 1000
	if testing.Short() {
		sweeps = 60
	}
	const text = "[a]\nsequence = 7000,8000,9000\nopen = tcp/22\n[b]\nsequence = 4000,3000,2000,1500\nopen = tcp/23\n" +
		"[c]\nsequence = 50000,1024,30000\nopen = tcp/24\n"
	native, plain := engineOf(t, text, config.DefaultDecoys), engineOf(t, text, 0)
	opened, without := 0, 0
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for i := range sweeps {
		from := netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})
		at := time.Duration(i) * time.Hour
		opened += sweep(native, from, at, order(r, i))
		without += sweep(plain, from, at, order(r, i))
	}
	if opened != 0 {
		t.Errorf("%d sweeps opened native doors %d times", sweeps, opened)
	}
	t.Logf("%d sweeps opened native doors %d times, doors without decoys %d times", sweeps, opened, without)
	if without == 0 {
		t.Error("nothing opened without decoys either: the sweeps are none")
	}
}

func engineOf(t *testing.T, text string, decoys int) *knock.Engine {
	t.Helper()
	doors := doorsOfText(t, text)
	for _, d := range doors {
		d.Decoys = decoys
	}
	e := knock.New(compile(doors, newDecoyKey(), nil).doors, knock.Options{})
	e.SetOwn([]netip.Addr{netip.MustParseAddr("10.0.0.1")})
	return e
}

// order is the order of the ports of the i-th sweep.
func order(r *rand.Rand, i int) []uint16 {
	ports := make([]uint16, 65535)
	for n := range ports {
		ports[n] = uint16(n + 1)
		if i%3 == 1 {
			ports[n] = uint16(65535 - n)
		}
	}
	if i%3 == 2 {
		r.Shuffle(len(ports), func(a, b int) { ports[a], ports[b] = ports[b], ports[a] })
	}
	return ports
}

// sweep sends a SYN to each port, 0.1 ms apart, and counts the openings.
func sweep(e *knock.Engine, from netip.Addr, at time.Duration, ports []uint16) (opened int) {
	target := netip.MustParseAddr("10.0.0.1")
	events := make([]knock.Event, 0, 16)
	for i, port := range ports {
		p := packet.Packet{
			Time: at + time.Duration(i)*100*time.Microsecond, Src: from, Dst: target,
			Port: packet.Port{Proto: packet.TCP, Number: port}, Flags: packet.SYN,
		}
		events = e.Step(&p, events[:0])
		for _, ev := range events {
			if ev.Kind == knock.Opened {
				opened++
			}
		}
	}
	return opened
}
