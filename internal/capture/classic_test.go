package capture

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/config"
	"knockd/internal/filter"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

func TestClassic(t *testing.T) { testBackend(t, config.CaptureClassic) }

// newQueueScene is the classic backend where no memory is left for rings.
func newQueueScene(t *testing.T) (*scene, *classic, *reader) {
	t.Helper()
	p := netlabtest.NewPair(t)
	s := &scene{
		pair: p, at: index(t, p.Server, netlab.Interface),
		client:  netlabtest.NewInjector(t, p.Client, netlab.Interface, p.ServerMAC),
		witness: newWitness(t, p.Server, netlab.Interface),
	}
	s.lab = &lab{t: t, c: New(Options{})}
	c := &classic{
		out:     outlet{batches: s.c.batches, barrier: s.c.barrier, failed: s.c.failures.report},
		sockets: map[*reader]struct{}{},
		open:    func(fd, _ int) (source, error) { return openQueue(fd) },
	}
	w := s.want(config.CaptureClassic, udp(7000), tcp(7000))
	netlabtest.Check(t, c.update(w.rules()))
	var r socket
	netlabtest.Check(t, p.Server.Do(func() (err error) {
		r, err = c.attach(tap{name: netlab.Interface, index: s.at.Index, protocol: unix.ETH_P_ALL})
		return err
	}))
	t.Cleanup(r.close)
	return s, c, r.(*reader)
}

// Without a ring the same packets come by recvmmsg.
func TestQueue(t *testing.T) {
	s, _, r := newQueueScene(t)
	var want []packet.Packet
	s.witness.burst(s.client, func() {
		for n := range 100 {
			p := s.knock4(udp(7000))
			if n%3 == 0 {
				p = s.knock6(tcp(7000))
			}
			p.SrcPort = uint16(n)
			want = append(want, p)
			netlabtest.Check(t, s.client.SendIP(packettest.Build(p, packettest.Options{Payload: make([]byte, n)})))
		}
	})
	var got []packet.Packet
	now := time.After(waitBound)
	for len(got) < len(want) {
		select {
		case b := <-s.c.Batches():
			got = append(got, b.Packets...)
			s.c.Release(b)
		case <-now:
			t.Fatalf("%d packets of %d: %+v", len(got), len(want), r.counters())
		}
	}
	for _, p := range got {
		if p.Time == 0 {
			t.Errorf("%+v has no time", p)
		}
	}
	compare(t, got, want, s.at.Index)
}

// The tag of a frame is in the ancillary data, for where a wide filter lets the frame through.
func TestQueueSeesTags(t *testing.T) {
	s, _, r := newQueueScene(t)
	netlabtest.Check(t, unfiltered(r.fd))
	s.witness.burst(s.client, func() {
		f := append([]byte(s.pair.ServerMAC), s.pair.ClientMAC...)
		f = append(f, 0x81, 0, 0, 5, 8, 0)
		netlabtest.Check(t, s.client.Send(append(f, packettest.Build(s.knock4(udp(7000)), packettest.Options{})...)))
	})
	poll(t, "a refusal", func() bool { return r.counters().Refused[RefusedVLAN] == 1 })
}

// poll waits for a condition that nothing tells of.
func poll(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(waitBound); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain for", what)
		}
	}
}

// Where the kernel has no room for the program it gets a shorter one, which is never too narrow; updates as well.
func TestSmallOptmem(t *testing.T) {
	const limit = "/proc/sys/net/core/optmem_max"
	old, err := os.ReadFile(limit)
	netlabtest.Check(t, err)
	s := newScene(t, config.CaptureClassic, udp(7000))
	for _, size := range []string{"20480", "4096", "600"} {
		set := func(value string) error { return os.WriteFile(limit, []byte(value), 0) }
		// Per namespace since Linux 6.8; before, only the first one has it.
		if err := s.pair.Server.Do(func() error { return set(size) }); err != nil {
			t.Logf("%v: not tested with a small limit", err)
		}
		w := s.want(config.CaptureClassic, udp(7000))
		for n := range uint16(3000) {
			w.Spec.Rules = append(w.Spec.Rules, filter.Rule{Ports: []packet.Port{tcp(10 * n), udp(11 * n)}})
		}
		s.set(w)
		got := s.arrive(packettest.Build(s.knock4(tcp(5000)), packettest.Options{}),
			packettest.Build(s.knock6(udp(7000)), packettest.Options{}))
		if len(got) != 2 {
			t.Errorf("limit %s: captured %+v", size, got)
		}
		if now, err := os.ReadFile(limit); err == nil && string(now) != string(old) {
			netlabtest.Check(t, set(strings.TrimSpace(string(old))))
		}
	}
	for _, e := range s.seen() {
		if e.Kind == Failed {
			t.Errorf("event %v", e)
		}
	}
}

// A flood makes the reader nap; every packet is accounted for, marks still come, and after it a knock is seen as before.
func TestFlood(t *testing.T) {
	s := newScene(t, config.CaptureClassic, tcp(7000), udp(7000))
	f := newFlood(t, s, tcp(7000))
	sent, got := 0, 0
	for range 100 {
		for range 10 {
			sent += f.send()
		}
		got += len(s.sync())
	}
	n := s.c.Stats()
	if got == 0 || n.Received < uint64(got) || n.Received+n.Dropped > uint64(sent) {
		t.Errorf("%d sent, %d captured, %+v", sent, got, n.Counters)
	}
	s.until(s.knock4(udp(7000)))
}

func TestRingSize(t *testing.T) {
	for others, want := range map[int]int{0: 1 << 20, 1: 1 << 20, 3: 1 << 20, 4: 512 << 10, 7: 512 << 10, 8: 256 << 10, 500: 256 << 10} {
		got := ringSize(others)
		if got != want || got%ringBlock != 0 || got%ringFrame != 0 {
			t.Errorf("ringSize(%d) = %d, want %d", others, got, want)
		}
	}
}

// Twelve sockets at once all get rings.
func TestManyRings(t *testing.T) {
	n := netlabtest.NewNamespace(t)
	netlabtest.Check(t, n.Do(func() error {
		for others := range 12 {
			fd, err := openPacket()
			if err != nil {
				return err
			}
			r, err := openRing(fd, ringSize(others))
			if err != nil {
				return errors.Join(err, unix.Close(fd))
			}
			if err := errors.Join(r.close(), unix.Close(fd)); err != nil {
				return err
			}
		}
		return nil
	}))
}

// Reading allocates nothing.
func TestFrameAllocates(t *testing.T) {
	p := knock(netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.1"), tcp(7000))
	b := packettest.Build(p, packettest.Options{})
	f := frame{data: b, length: len(b), protocol: unix.ETH_P_IP}
	var clock receiveClock
	if n := testing.AllocsPerRun(100, func() {
		clock.read()
		var got packet.Packet
		if _, ok := f.packet(&got, &clock); !ok || got.Port != p.Port {
			t.Fatalf("%+v", got)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
