package hostile

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"knockd/internal/daemontest"
	"knockd/internal/flood"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet/packettest"
)

// guesser is an attacker who knows some ports of the sequence and tries to push a knock out of the table.
type guesser struct {
	name string
	// fill is how many packets fill the table, and displace some.
	fill uint64
	// run sends until ctx ends or most packets were sent (0: no bound), rate packets a second (0: as fast as it goes), and
	// returns how many went.
	run func(ctx context.Context, s *scene, rate, most uint64) (uint64, error)
}

func guessers() []guesser {
	return []guesser{{"one port", 420_000, onePort}, {"two ports", 420_000, twoPorts}}
}

// onePort sends a first hit from a new source with each packet.
func onePort(ctx context.Context, s *scene, rate, most uint64) (uint64, error) {
	pair := *s.pair
	pair.ServerMAC = elsewhere
	f, err := flood.New(&pair, flood.Once, sequence[:1])
	if err != nil {
		return 0, err
	}
	err = f.Run(ctx, firstCPU(), rate, most)
	sent := f.Sent()
	if e := f.Close(); err == nil {
		err = e
	}
	return sent, err
}

// elsewhere is somebody else's link-layer address: the daemon looks at the IP destination alone, and the server's kernel
// spends no time on answers.
var elsewhere = net.HardwareAddr{2, 0, 0, 0, 0, 9}

func firstCPU() int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) == nil {
		for cpu := range 1024 {
			if set.IsSet(cpu) {
				return cpu
			}
		}
	}
	return 0
}

// twoPorts sends a first and a second hit from one new source after another: strangers who got as far as the knocker.
func twoPorts(ctx context.Context, s *scene, rate, most uint64) (sent uint64, err error) {
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	m := maker{pair: s.pair}
	for began := time.Now(); ctx.Err() == nil && (most == 0 || sent < most); {
		source := r.Uint32()
		from := netip.AddrFrom4([4]byte{byte(11 + source>>24%115), byte(source >> 16), byte(source >> 8), byte(source)})
		for _, port := range sequence[:2] {
			m.from, m.port = from, port
			if err := s.injector.Send(m.ethernet(elsewhere, unix.ETH_P_IP, m.plain())); err != nil {
				return sent, err
			}
			sent++
		}
		if rate > 0 && sent%64 == 0 {
			time.Sleep(time.Duration(sent)*time.Second/time.Duration(rate) - time.Since(began))
		}
	}
	return sent, nil
}

// TestAFullTable: whoever knows all ports but one fills the table, and goes on; a right knock opens all the same, be it
// quick or slow.
func TestAFullTable(t *testing.T) {
	for _, g := range guessers() {
		for _, backend := range daemontest.Backends() {
			t.Run(g.name+"/"+backend, func(t *testing.T) {
				t.Parallel()
				s := newScene(t, backend, "")
				before := s.daemon.Usage()
				fill(t, s, g)
				knockDuring(t, s, g)
				if n := s.daemon.Count("OPEN SESAME"); n != len(paces) {
					t.Errorf("%d knocks opened, of %d right ones", n, len(paces))
				}
				status := s.status()
				t.Logf("%d sources in the table, %d evicted, %d packets lost", status.Engine.Sources, status.Engine.Evicted, status.Capture.Dropped)
				if held := status.Capture.Held > 0; held != (backend == "ebpf") {
					t.Errorf("%d packets were held back", status.Capture.Held)
				}
				s.daemon.SameUsage(s.t, before, fullTable)
			})
		}
	}
}

// fullTable is what the table of sources may need, in bytes, with the collector's slack.
const fullTable = 64 << 20

// fill sends as fast as it goes: what is lost on the way does not matter.
func fill(t *testing.T, s *scene, g guesser) {
	t.Helper()
	most := g.fill
	if testing.Short() {
		most /= 10 // the race detector's daemon takes its time; there the table is not full
	}
	sent, err := g.run(t.Context(), s, 0, most)
	netlabtest.Check(t, err)
	daemontest.Eventually(t, "the daemon has read what came", func() bool {
		a := s.status().Capture.Received
		return a == s.status().Capture.Received
	})
	t.Logf("%d packets to fill the table", sent)
}

// paces are the times between two hits of a right knock.
var paces = []time.Duration{50 * time.Millisecond, time.Second}

// attackRate is what goes on while somebody knocks: few enough, in packets a second, for a busy machine and a program with
// the race detector; BenchmarkSlowKnock tells about more.
const attackRate = 10000

// knockDuring knocks at every pace at once while the attack goes on.
func knockDuring(t *testing.T, s *scene, g guesser) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := g.run(ctx, s, attackRate, 0)
		done <- err
	}()
	t.Cleanup(func() { cancel() })
	for i, pace := range paces {
		from := netip.AddrFrom4([4]byte{10, 0, 9, byte(i + 1)})
		if !s.knockAtPace(from, pace) {
			t.Errorf("hits %v apart did not open", pace)
		}
	}
	cancel()
	netlabtest.Check(t, <-done)
}

// knockAtPace knocks, and reports whether it opened. A knock during which the kernel had no room for packets is repeated:
// what is lost before the daemon sees it is not the table's fault.
func (s *scene) knockAtPace(from netip.Addr, pace time.Duration) bool {
	s.t.Helper()
	line := from.String() + ": door: OPEN SESAME"
	for end := time.Now().Add(daemontest.Patience); time.Now().Before(end); {
		lost := s.status().Capture.Dropped
		for i, port := range sequence {
			if i > 0 {
				time.Sleep(pace)
			}
			s.hit(from, port)
		}
		if s.says(line, 5*time.Second) {
			return true
		}
		if s.status().Capture.Dropped == lost {
			return false
		}
	}
	return false
}

// says reports whether the daemon says a line within a time.
func (s *scene) says(line string, within time.Duration) bool {
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if s.daemon.Count(line) > 0 {
			return true
		}
	}
	return false
}

// BenchmarkSlowKnock finds how slow a knock may be under an attack as fast as this machine sends: the longest time between
// two hits, of a doubling row, at which three of three knocks opened.
func BenchmarkSlowKnock(b *testing.B) {
	for _, g := range guessers() {
		for _, backend := range daemontest.Backends() {
			for _, rate := range []uint64{50000, 0} {
				b.Run(fmt.Sprintf("%s/%s/%d", g.name, backend, rate), func(b *testing.B) { slowKnock(b, backend, g, rate) })
			}
		}
	}
}

func slowKnock(b *testing.B, backend string, g guesser, rate uint64) {
	s := newScene(b, backend, "\tSeq_Timeout = 60\n\tStart_Command = true\n")
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	var sent uint64
	began := time.Now()
	go func() {
		n, err := g.run(ctx, s, rate, 0)
		sent = n
		done <- err
	}()
	time.Sleep(3 * time.Second) // by then the table is full, or at this rate never
	slowest := s.slowest()
	cancel()
	netlabtest.Check(b, <-done)
	b.ReportMetric(float64(sent)/time.Since(began).Seconds(), "packets/s")
	b.ReportMetric(slowest.Seconds(), "s-between-hits")
	b.ReportMetric(float64(s.status().Capture.Dropped), "lost")
	b.ReportMetric(0, "ns/op")
}

// slowest tries ever slower knocks, three at a time.
func (s *scene) slowest() (slowest time.Duration) {
	for i, pace := range []time.Duration{50 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second} {
		var group errgroup.Group
		for n := range 3 {
			group.Go(func() error {
				from := netip.AddrFrom4([4]byte{10, 0, byte(10 + i), byte(n + 1)})
				for _, port := range sequence {
					if err := s.injector.SendIP(packettest.Build(s.syn(from, port), packettest.Options{})); err != nil {
						return err
					}
					time.Sleep(pace)
				}
				if !s.says(from.String()+": door: OPEN SESAME", time.Second) {
					return errors.New("lost")
				}
				return nil
			})
		}
		if group.Wait() != nil {
			return slowest
		}
		slowest = pace
	}
	return slowest
}
