package hostile

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"knockd/internal/daemontest"
)

// sources are few, so that hits among the hostile frames make whole knocks by chance.
func sources() []netip.Addr {
	var list []netip.Addr
	for i := range 24 {
		list = append(list, netip.AddrFrom4([4]byte{10, 0, 7, byte(i + 1)}))
		ip := netip.MustParseAddr("fd00::700").As16()
		ip[15] = byte(i + 1)
		list = append(list, netip.AddrFrom16(ip))
	}
	return list
}

// attacker sends hostile frames, and shows them to the oracle.
type attacker struct {
	scene  *scene
	oracle *oracle
	r      *rand.Rand
	frames int
}

func newAttacker(s *scene, seed uint64) *attacker {
	return &attacker{scene: s, oracle: newOracle(s.pair.Server4, s.pair.Server6), r: rand.New(rand.NewPCG(seed, 0))}
}

func (a *attacker) maker() maker {
	all := sources()
	return maker{pair: a.scene.pair, from: all[a.r.IntN(len(all))], port: sequence[a.r.IntN(len(sequence))]}
}

// send sends a frame; one that the sender's own kernel refuses was not sent.
func (a *attacker) send(data []byte) {
	if len(data) < 14 || a.scene.injector.Send(data) != nil {
		return
	}
	a.oracle.sent(data)
	// A pause for the reader, so that nothing is lost and the oracle is exact.
	if a.frames++; a.frames%64 == 0 {
		time.Sleep(2 * time.Millisecond)
	}
}

// round sends the corpus of one source in random order, then some of it mutated.
func (a *attacker) round() {
	frames := a.maker().corpus()
	a.r.Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
	for _, f := range frames {
		a.send(f.data)
	}
	for range len(frames) {
		a.send(a.mutate(frames[a.r.IntN(len(frames))].data))
	}
	// Right hits among them make knocks, whole and spoiled ones.
	m := a.maker()
	for range 4 {
		m.port = sequence[a.r.IntN(len(sequence))]
		a.send(m.ip(m.plain()))
	}
	for _, port := range sequence {
		m.port = port
		a.send(m.ip(m.plain()))
	}
}

// mutate changes some bytes, cuts or grows a frame. The addresses of Ethernet stay: the source's own must be unicast.
func (a *attacker) mutate(data []byte) []byte {
	b := slices.Clone(data)
	for range 1 + a.r.IntN(4) {
		if len(b) > 12 {
			b[12+a.r.IntN(len(b)-12)] = byte(a.r.Uint32())
		}
	}
	switch a.r.IntN(6) {
	case 0:
		b = b[:12+a.r.IntN(len(b)-11)]
	case 1:
		b = append(b, make([]byte, a.r.IntN(100))...)
	}
	return b
}

// TestFrames sends the corpus and its mutations: nothing opens but what the oracle says, nothing grows, and a right knock
// opens afterwards.
func TestFrames(t *testing.T) {
	for _, backend := range daemontest.Backends() {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, backend, "")
			a := newAttacker(s, seed(t))
			warm, most := 20000, 45000
			if testing.Short() {
				warm, most = 5000, 12000
			}
			for a.frames < warm {
				a.round() // what was seen once needs its memory
			}
			s.rightKnock(s.pair.Client4, 1)
			before, counted := s.daemon.Usage(), s.status()
			for end := time.Now().Add(length(t, 0)); time.Now().Before(end) || a.frames < most; {
				a.round()
			}
			a.judge(before, counted.Capture.Refused)
		})
	}
}

// judge holds the daemon against the oracle.
func (a *attacker) judge(before daemontest.Usage, refused uint64) {
	s := a.scene
	s.t.Helper()
	s.rightKnock(s.pair.Client4, 2)
	s.rightKnock(s.pair.Client6, 1)
	now := s.status()
	opened := s.opened()
	delete(opened, s.pair.Client4.String())
	delete(opened, s.pair.Client6.String())
	s.t.Logf("%d frames, %d of them no hits; %d refused, %d lost, %d knocks opened",
		a.frames, a.oracle.rejected, now.Capture.Refused, now.Capture.Dropped, total(opened))
	if now.Capture.Dropped == 0 && !maps.Equal(opened, a.oracle.opened) {
		s.t.Errorf("opened %v, and the rule opens %v", opened, a.oracle.opened)
	}
	for source := range opened {
		if a.oracle.opened[source] == 0 {
			s.t.Errorf("opened for %s, which never knocked", source)
		}
	}
	if now.Backend == "classic" && now.Capture.Refused <= refused {
		s.t.Error("no frame was counted as refused")
	}
	s.daemon.SameUsage(s.t, before, memorySlack)
}

// memorySlack is what the collector's heap may differ by, in bytes: less than as many frames of a kilobyte each.
const memorySlack = 16 << 20

func total(counts map[string]int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}
