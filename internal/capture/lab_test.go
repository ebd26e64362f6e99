package capture

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"knockd/internal/filter"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
)

func TestMain(m *testing.M) { netlabtest.Main(m) }

// waitBound bounds every wait; a loaded machine may be ten times slower than this one.
const waitBound = 30 * time.Second

// tcp and udp are ports.
func tcp(n uint16) packet.Port { return packet.Port{Proto: packet.TCP, Number: n} }
func udp(n uint16) packet.Port { return packet.Port{Proto: packet.UDP, Number: n} }

// lab is a Capture that runs in a namespace.
type lab struct {
	t     testing.TB
	c     *Capture
	token uint64
	mu    sync.Mutex
	// events are all so far; changed is closed and replaced at each.
	events  []Event
	changed chan struct{}
}

// newLab starts capture in a namespace; it stops with the test.
func newLab(t testing.TB, n *netlab.Namespace, w Want) *lab {
	t.Helper()
	l := &lab{t: t, c: New(Options{}), changed: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := n.Do(func() error { return l.c.Run(ctx) }); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() { l.collect(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	l.c.Set(w)
	return l
}

func (l *lab) collect(ctx context.Context) {
	for {
		select {
		case e := <-l.c.Events():
			l.mu.Lock()
			l.events = append(l.events, e)
			close(l.changed)
			l.changed = make(chan struct{})
			l.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// await waits for an event that match accepts among those from number on, and returns the number after it.
func (l *lab) await(from int, what string, match func(Event) bool) int {
	l.t.Helper()
	deadline := time.After(waitBound)
	for {
		l.mu.Lock()
		events, changed := l.events, l.changed
		l.mu.Unlock()
		for i := from; i < len(events); i++ {
			if match(events[i]) {
				return i + 1
			}
		}
		select {
		case <-changed:
		case <-deadline:
			l.t.Fatalf("%s did not happen; what did: %v", what, events)
		}
	}
}

// seen returns the events so far.
func (l *lab) seen() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events
}

// attached waits for capture from a name.
func (l *lab) attached(from int, name string) int {
	l.t.Helper()
	return l.await(from, "capturing from "+name, func(e Event) bool {
		return e.Kind == Attached && e.Interface == name
	})
}

// sync returns the packets that were delivered before a mark asked for now.
func (l *lab) sync() []packet.Packet {
	l.t.Helper()
	l.token++
	l.c.Sync(l.token)
	var got []packet.Packet
	deadline := time.After(waitBound)
	for {
		select {
		case b := <-l.c.Batches():
			got = append(got, b.Packets...)
			synced := b.Synced
			l.c.Release(b)
			if synced >= l.token {
				return got
			}
		case <-deadline:
			l.t.Fatalf("no mark %d", l.token)
		}
	}
}

// count returns what is captured until it is n packets.
func (l *lab) count(n int) []packet.Packet {
	l.t.Helper()
	var got []packet.Packet
	for deadline := time.Now().Add(waitBound); len(got) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatalf("%d packets, want %d: %+v", len(got), n, got)
		}
		got = append(got, l.sync()...)
	}
	return got
}

// index returns an interface of a namespace as it is now.
func index(t testing.TB, n *netlab.Namespace, name string) Interface {
	t.Helper()
	i := Interface{Name: name}
	netlabtest.Check(t, n.Do(func() error {
		link, err := net.InterfaceByName(name)
		if err == nil {
			i.Index = link.Index
		}
		return err
	}))
	return i
}

// spec lets through what goes to ports at the addresses.
func spec(own []netip.Addr, ports ...packet.Port) filter.Spec {
	return filter.Spec{Own: own, Rules: []filter.Rule{{Ports: ports}}}
}

// knock is a packet that begins a connection, or a datagram.
func knock(src, dst netip.Addr, to packet.Port) packet.Packet {
	p := packet.Packet{Src: src, Dst: dst, SrcPort: 40000, Port: to}
	if to.Proto == packet.TCP {
		p.Flags = packet.SYN
	}
	return p
}
