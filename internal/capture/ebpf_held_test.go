package capture

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"knockd/internal/filter"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// always is a FloodThreshold by which every first packet is held back.
const always = 0

// heldSpec has a door of three ports, a door of one, and a door with a port twice in a row.
func heldSpec() filter.Spec {
	return filter.Spec{
		Own: []netip.Addr{own4, own6},
		Rules: []filter.Rule{
			{Ports: []packet.Port{tcp(1), udp(2), tcp(3)}},
			{Ports: []packet.Port{tcp(9)}, Once: true},
			{Ports: []packet.Port{udp(5), udp(5), tcp(6)}},
		},
	}
}

// same compares what was delivered, times aside, and looks whether these rise.
func same(t *testing.T, got, want []packet.Packet) {
	t.Helper()
	if !slices.IsSortedFunc(got, func(a, b packet.Packet) int { return int(a.Time - b.Time) }) {
		t.Errorf("out of order: %+v", got)
	}
	compare(t, slices.Clone(got), slices.Clone(want), 1)
}

// The second packet of a source delivers both, with their own times; later ones come alone.
func TestHeldPair(t *testing.T) {
	b := newBench(t, heldSpec(), always)
	for _, from := range []func(uint32, packet.Port) packet.Packet{stranger, stranger6} {
		first, second, third := from(1, tcp(1)), from(1, udp(2)), from(1, tcp(3))
		first.SrcPort = 1234
		if got := b.show(first, from(2, tcp(1)), from(3, tcp(3))); len(got) != 0 {
			t.Errorf("first packets came through: %+v", got)
		}
		time.Sleep(time.Millisecond)
		got := b.show(second)
		same(t, got, []packet.Packet{first, second})
		if len(got) == 2 && got[1].Time-got[0].Time < time.Millisecond {
			t.Errorf("the first packet has the time of the second: %v, %v", got[0].Time, got[1].Time)
		}
		same(t, b.show(third), []packet.Packet{third})
		same(t, b.show(first), []packet.Packet{first})
	}
}

// A door of one port is seen at once; what was held before comes before it, and the source is known from then on.
func TestHeldOnce(t *testing.T) {
	b := newBench(t, heldSpec(), always)
	same(t, b.show(stranger(1, tcp(9))), []packet.Packet{stranger(1, tcp(9))})
	same(t, b.show(stranger(1, tcp(3))), []packet.Packet{stranger(1, tcp(3))})
	same(t, b.show(stranger(2, tcp(1)), stranger(2, tcp(9))), []packet.Packet{stranger(2, tcp(1)), stranger(2, tcp(9))})
}

// A repeat takes the place of what is held, but where a sequence has the port twice in a row.
func TestHeldRepeat(t *testing.T) {
	b := newBench(t, heldSpec(), always)
	first, again := stranger(1, tcp(1)), stranger(1, tcp(1))
	again.SrcPort = 1234
	if got := b.show(first, first, again); len(got) != 0 {
		t.Errorf("repeats came through: %+v", got)
	}
	same(t, b.show(stranger(1, udp(2))), []packet.Packet{again, stranger(1, udp(2))})

	same(t, b.show(stranger(2, udp(5)), stranger(2, udp(5))), []packet.Packet{stranger(2, udp(5)), stranger(2, udp(5))})

	ack := stranger(3, tcp(1))
	ack.Flags = packet.ACK
	same(t, b.show(stranger(3, tcp(1)), ack), []packet.Packet{stranger(3, tcp(1)), ack})

	// The mark of a port changes with the doors.
	s := heldSpec()
	s.Rules[0].Ports = []packet.Port{tcp(1), tcp(1)}
	s.Rules[2].Ports = []packet.Port{udp(5), tcp(6)}
	if err := b.tables.update(rules{spec: s, floodThreshold: always}); err != nil {
		t.Fatal(err)
	}
	same(t, b.show(stranger(4, udp(5)), stranger(4, udp(5))), nil)
	same(t, b.show(stranger(5, tcp(1)), stranger(5, tcp(1))), []packet.Packet{stranger(5, tcp(1)), stranger(5, tcp(1))})
}

// The oldest of a full bucket is overwritten.
func TestHeldEviction(t *testing.T) {
	b := newBench(t, heldSpec(), always)
	n := b.neighbours(17)
	for _, number := range n {
		b.show(stranger(number, tcp(1)))
		time.Sleep(10 * time.Microsecond) // the table's time is coarser than the kernel's
	}
	for _, number := range n[1:] {
		same(t, b.show(stranger(number, udp(2))), []packet.Packet{stranger(number, tcp(1)), stranger(number, udp(2))})
	}
	if got := b.show(stranger(n[0], udp(2))); len(got) != 0 {
		t.Errorf("the oldest is still there: %+v", got)
	}
}

// However many strangers come, who has sent twice stays known, and what was held of them is no longer in the way.
func TestHeldKnown(t *testing.T) {
	b := newBench(t, heldSpec(), always)
	n := b.neighbours(60)
	b.show(stranger(n[0], tcp(1)), stranger(n[0], udp(2)))
	for _, number := range n[1:] {
		b.show(stranger(number, tcp(1)))
	}
	same(t, b.show(stranger(n[0], tcp(3))), []packet.Packet{stranger(n[0], tcp(3))})
	// All places but that of the last pair are taken: a new stranger takes this one.
	last := n[len(n)-1]
	b.show(stranger(last, udp(2)), stranger(n[1], tcp(1)))
	for _, number := range n[len(n)-16 : len(n)-1] {
		same(t, b.show(stranger(number, udp(2))), []packet.Packet{stranger(number, tcp(1)), stranger(number, udp(2))})
	}
}

// Known sources are forgotten in the order in which they were last heard of.
func TestHeldForgotten(t *testing.T) {
	b := newBench(t, heldSpec(), always)
	n := b.acquaintances(40)
	meet := func(numbers ...uint32) {
		for _, number := range numbers {
			b.show(stranger(number, tcp(1)), stranger(number, udp(2)))
		}
	}
	known := func(number uint32) bool { return len(b.show(stranger(number, tcp(3)))) == 1 }
	meet(n[:15]...)
	for _, number := range n[:15] {
		if !known(number) {
			t.Errorf("%d is forgotten", number)
		}
	}
	for _, number := range n[15:] {
		meet(number)
		if !known(n[14]) {
			t.Fatal("who goes on sending is forgotten")
		}
	}
	if known(n[0]) {
		t.Error("the oldest is still known")
	}
}

// A packet that a place has no room for is delivered at once.
func TestHeldWide(t *testing.T) {
	b := newBench(t, heldSpec(), always)
	b.tables.last = mostDestinations - 2
	s := heldSpec()
	s.Own = append(s.Own, netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3"))
	netlabtest.Check(t, b.tables.update(rules{spec: s, floodThreshold: always}))
	names := *b.tables.names.Load()
	if _, zero := names[0]; zero || len(names) != 4 || names[mostDestinations-1] != s.Own[2] {
		t.Fatalf("numbers of destinations: %v", names)
	}
	for i, own := range s.Own[2:] {
		first, second := stranger(uint32(i), tcp(1)), stranger(uint32(i), udp(2))
		first.Dst, second.Dst = own, own
		same(t, b.show(first, second), []packet.Packet{first, second})
	}
	netlabtest.Check(t, b.objects.Destinations.Put(destinationKey(own4), uint32(mostDestinations)))
	wide := stranger(9, tcp(1))
	got := b.show(wide)
	wide.Dst = netip.Addr{}
	same(t, got, []packet.Packet{wide})
}

// In peace packets are delivered at once; when strangers come faster than the threshold they are held; later it is
// peace again. A source that was met in peace stays known.
func TestHeldThreshold(t *testing.T) {
	b := newBench(t, heldSpec(), 1)
	next := uint32(100)
	held := func() bool {
		next++
		return len(b.show(stranger(next, tcp(1)))) == 0
	}
	poll := func(what string, condition func() bool, pause time.Duration) {
		t.Helper()
		for deadline := time.Now().Add(waitBound); !condition(); time.Sleep(pause) {
			if time.Now().After(deadline) {
				t.Fatal("waited in vain for", what)
			}
		}
	}
	first := stranger(1, tcp(1))
	same(t, b.show(first), []packet.Packet{first})
	poll("a flood", held, 0)
	same(t, b.show(stranger(1, udp(2))), []packet.Packet{stranger(1, udp(2))})
	poll("peace", func() bool { return !held() }, 1200*time.Millisecond)
	if err := b.tables.update(rules{spec: heldSpec(), floodThreshold: peace}); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if held() {
			t.Fatal("held in peace")
		}
	}
}

// Many sources of one bucket on all processors at once: no pair ever has the packet of another source.
func TestHeldStrangers(t *testing.T) {
	s := heldSpec()
	var ports []packet.Port
	for n := range uint16(1000) {
		ports = append(ports, udp(1000+n))
	}
	s.Rules = append(s.Rules, filter.Rule{Ports: ports})
	b := newBench(t, s, always)
	// What a source sends first tells who it is.
	mark := func(number uint32) uint16 { return uint16(number * 2654435761 >> 16) }
	numbers := b.neighbours(24)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 1500 {
				number := numbers[(i*7+worker*5)%len(numbers)]
				p := stranger(number, udp(1000+mark(number)%500))
				p.SrcPort = mark(number)
				b.run(frameOf(p, packettest.Options{}))
				p.Port.Number += 500
				b.run(frameOf(p, packettest.Options{}))
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	var got []packet.Packet
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		got = append(got, b.delivered()...)
	}
	wants := map[netip.Addr]uint16{}
	for _, n := range numbers {
		wants[stranger(n, udp(1)).Src] = mark(n)
	}
	for _, p := range got {
		if want, ok := wants[p.Src]; !ok || p.SrcPort != want || (p.Port.Number-1000)%500 != want%500 {
			t.Fatalf("%+v is of another source", p)
		}
	}
	if len(got) < 1000 {
		t.Errorf("%d packets delivered", len(got))
	}
}

// A place torn between two writers, with words of the one and of the other, is nobody's.
func TestHeldTorn(t *testing.T) {
	b := newBench(t, heldSpec(), always)
	n := b.neighbours(2)
	type bucket [16][3]uint64
	var empty, one, other bucket
	hold := func(p packet.Packet, at *bucket) {
		t.Helper()
		netlabtest.Check(t, b.objects.Table.Put(uint32(0), &empty))
		if got := b.show(p); len(got) != 0 {
			t.Fatalf("not held: %+v", got)
		}
		netlabtest.Check(t, b.objects.Table.Lookup(uint32(0), at))
		if *at == empty {
			t.Fatal("the bucket is empty")
		}
	}
	second := stranger(n[1], udp(5))
	second.SrcPort = 1234
	hold(stranger(n[0], tcp(1)), &one)
	hold(second, &other)
	for mask := 1; mask < 7; mask++ {
		torn := one
		for place := range torn {
			for word := range torn[place] {
				if mask>>word&1 == 1 {
					torn[place][word] = other[place][word]
				}
			}
		}
		for _, number := range n {
			netlabtest.Check(t, b.objects.Table.Put(uint32(0), &torn))
			if got := b.show(stranger(number, udp(2))); len(got) != 0 {
				t.Errorf("mask %d: delivered %+v", mask, got)
			}
		}
	}
	netlabtest.Check(t, b.objects.Table.Put(uint32(0), &one))
	same(t, b.show(stranger(n[0], udp(2))), []packet.Packet{stranger(n[0], tcp(1)), stranger(n[0], udp(2))})
}
