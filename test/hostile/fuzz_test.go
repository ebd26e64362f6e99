package hostile

import (
	"net/netip"
	"testing"

	"knockd/internal/daemontest"
)

// FuzzFrames sends whole frames at two living daemons, one for each backend: neither ends, and neither opens but as the
// oracle says. Every process of the fuzzer has daemons of its own.
func FuzzFrames(f *testing.F) {
	attackers := make([]*attacker, len(daemontest.Backends()))
	for i, backend := range daemontest.Backends() {
		attackers[i] = newAttacker(newScene(f, backend, ""), 0)
	}
	p := attackers[0].scene.pair
	for _, from := range []netip.Addr{p.Client4, p.Client6} {
		for _, frame := range (maker{pair: p, from: from, port: sequence[0]}).corpus() {
			f.Add(frame.data[12:])
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, a := range attackers {
			a.scene.t = t
			m := maker{pair: a.scene.pair}
			a.send(append(m.ethernet(a.scene.pair.ServerMAC, 0, nil)[:12], data...))
			if !a.scene.daemon.Running() {
				t.Fatalf("the daemon ended with status %d", a.scene.daemon.Exit())
			}
			for source, n := range a.scene.opened() {
				if n > a.oracle.opened[source] {
					t.Errorf("opened %d times for %s, and the rule %d times", n, source, a.oracle.opened[source])
				}
			}
		}
	})
}
