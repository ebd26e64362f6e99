package capture

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"knockd/internal/config"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// testBridge captures from everywhere: a packet that comes through a port of a bridge is seen once.
func testBridge(t *testing.T, b config.Backend) {
	p := netlabtest.NewPair(t)
	netlabtest.Run(t, p.Server, "ip", "link", "add", "br0", "type", "bridge")
	netlabtest.Run(t, p.Server, "ip", "link", "set", "br0", "up", "address", p.ServerMAC.String())
	netlabtest.Run(t, p.Server, "ip", "link", "set", netlab.Interface, "master", "br0")
	for _, a := range []string{"10.0.0.1/16", "fd00::1/64"} {
		netlabtest.Run(t, p.Server, "ip", "addr", "flush", "dev", netlab.Interface, "scope", "global")
		netlabtest.Addr(t, p.Server, "br0", a)
	}
	s := &scene{
		pair: p, at: index(t, p.Server, "br0"),
		client:  netlabtest.NewInjector(t, p.Client, netlab.Interface, p.ServerMAC),
		witness: newWitness(t, p.Server, "br0"),
	}
	w := s.want(b, tcp(7000), udp(7000))
	w.Any = true
	s.lab = newLab(t, p.Server, w)
	s.attached(0, anyName)
	want := []packet.Packet{s.knock4(tcp(7000)), s.knock6(udp(7000)), s.knock4(udp(7000))}
	var sent [][]byte
	for _, k := range want {
		sent = append(sent, packettest.Build(k, packettest.Options{}))
	}
	s.bridged(w, want, sent)

	w.Any = false
	s.c.Set(w)
	s.attached(0, "br0")
	s.bridged(w, want, sent)
}

// bridged waits until the bridge passes packets, then each must be seen once.
func (s *scene) bridged(w Want, want []packet.Packet, sent [][]byte) {
	s.t.Helper()
	s.set(w)
	got := s.arrive(sent...)
	// The two sockets of "any" have no order among each other.
	for _, p := range want {
		n := 0
		for _, q := range got {
			if q.Port == p.Port && q.Src == p.Src && q.Interface == s.at.Index {
				n++
			}
		}
		if n != 1 {
			s.t.Errorf("%v from %v was captured %d times: %+v", p.Port, p.Src, n, got)
		}
	}
}

// testTun captures from an interface without link-layer headers.
func testTun(t *testing.T, b config.Backend) {
	n := netlabtest.NewNamespace(t)
	device, ok := tun(t, n, "tun0")
	if !ok {
		t.Log("not tested: /dev/net/tun is for root alone here")
		return
	}
	netlabtest.Check(t, netlab.SetUp(n, "tun0"))
	at := index(t, n, "tun0")
	own := netip.MustParseAddr("192.0.2.1")
	l := newLab(t, n, Want{Backend: b, Interfaces: []Interface{at}, FloodThreshold: peace, Spec: spec([]netip.Addr{own}, tcp(7000))})
	l.attached(0, "tun0")
	p := knock(netip.MustParseAddr("192.0.2.2"), own, tcp(7000))
	if _, err := unix.Write(device, packettest.Build(p, packettest.Options{})); err != nil {
		t.Fatal(err)
	}
	got := l.count(1)
	compare(t, got, []packet.Packet{p}, at.Index)
}

// tun makes a tun interface and returns its other side; ok is false where the device's mode denies that to a user, as
// no namespace can help.
func tun(t *testing.T, n *netlab.Namespace, name string) (fd int, ok bool) {
	t.Helper()
	err := n.Do(func() (err error) {
		fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
		return err
	})
	if errors.Is(err, os.ErrPermission) {
		return -1, false
	}
	if errors.Is(err, os.ErrNotExist) {
		err = &netlab.Unsupported{What: "opening /dev/net/tun", Err: err}
	}
	netlabtest.Check(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	req, err := unix.NewIfreq(name)
	netlabtest.Check(t, err)
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	netlabtest.Check(t, n.Do(func() error { return unix.IoctlIfreq(fd, unix.TUNSETIFF, req) }))
	return fd, true
}

// testAbsent waits for an interface that is not there.
func testAbsent(t *testing.T, b config.Backend) {
	n := netlabtest.NewNamespace(t)
	l := newLab(t, n, Want{Backend: b, Interfaces: []Interface{{Name: "x0", Index: 4000}}})
	from := l.await(0, "failure at x0", func(e Event) bool { return e.Kind == Failed && e.Interface == "x0" })
	netlabtest.Run(t, n, "ip", "link", "add", "x0", "index", "4000", "type", "veth", "peer", "name", "y0")
	l.attached(from, "x0")
}

// testMadeAgain deletes an interface and makes one of the same name, with another index and with the same.
func testMadeAgain(t *testing.T, b config.Backend) {
	s := newScene(t, b, udp(7000))
	from := 0
	for _, index := range []int{3000, 3000, 3001} {
		netlabtest.Check(t, netlab.Delete(s.pair.Server, netlab.Interface))
		from = s.await(from, "detaching", func(e Event) bool { return e.Kind == Detached })
		s.again(index)
		s.c.Set(s.want(b, udp(7000)))
		from = s.attached(from, netlab.Interface)
		s.until(s.knock4(udp(7000)))
	}
}

// again makes the server's interface and its peer anew.
func (s *scene) again(number int) {
	s.t.Helper()
	p := s.pair
	netlabtest.Run(s.t, p.Server, "ip", "link", "add", netlab.Interface, "index", fmt.Sprint(number), "type", "veth",
		"peer", "name", netlab.Interface, "netns", namespacePath(p.Client))
	for _, n := range []*netlab.Namespace{p.Server, p.Client} {
		netlabtest.Check(s.t, netlab.SetUp(n, netlab.Interface))
	}
	for _, n := range []*netlab.Namespace{p.Server, p.Client} {
		netlabtest.Check(s.t, netlab.WaitUp(n, netlab.Interface))
	}
	s.client = netlabtest.NewInjector(s.t, p.Client, netlab.Interface, nil)
	s.witness = newWitness(s.t, p.Server, netlab.Interface)
	s.at = index(s.t, p.Server, netlab.Interface)
}

func namespacePath(n *netlab.Namespace) string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.Fd())
}

// testDownAndUp: the socket outlives its interface's being down.
func testDownAndUp(t *testing.T, b config.Backend) {
	s := newScene(t, b, udp(7000))
	for range 3 {
		netlabtest.Check(t, netlab.SetDown(s.pair.Server, netlab.Interface))
		s.sync()
		netlabtest.Check(t, netlab.SetUp(s.pair.Server, netlab.Interface))
		s.until(s.knock4(udp(7000)))
	}
	for _, e := range s.seen() {
		if e.Kind == Failed || e.Kind == Detached {
			t.Errorf("event %v", e)
		}
	}
	// One that is down from the start is attached too.
	netlabtest.Check(t, netlab.SetDown(s.pair.Server, netlab.Interface))
	s.c.Set(Want{Backend: b})
	from := s.await(0, "detaching", func(e Event) bool { return e.Kind == Detached })
	s.c.Set(s.want(b, udp(7000)))
	s.attached(from, netlab.Interface)
	netlabtest.Check(t, netlab.SetUp(s.pair.Server, netlab.Interface))
	s.until(s.knock4(udp(7000)))
}

func testRenamed(t *testing.T, b config.Backend) {
	s := newScene(t, b, udp(7000))
	netlabtest.Check(t, netlab.SetDown(s.pair.Server, netlab.Interface))
	netlabtest.Check(t, netlab.Rename(s.pair.Server, netlab.Interface, "wan0"))
	netlabtest.Check(t, netlab.SetUp(s.pair.Server, "wan0"))
	s.at.Name = "wan0"
	s.c.Set(s.want(b, udp(7000)))
	s.attached(0, "wan0")
	s.until(s.knock4(udp(7000)))
	s.c.Set(Want{Backend: b})
	s.await(0, "detaching by the new name", func(e Event) bool { return e.Kind == Detached && e.Interface == "wan0" })
}

// testMovedAway moves the interface to another namespace and back, where it has its old index again; nobody tells
// capture.
func testMovedAway(t *testing.T, b config.Backend) {
	s := newScene(t, b, udp(7000))
	away := netlabtest.NewNamespace(t)
	netlabtest.Run(t, s.pair.Server, "ip", "link", "set", netlab.Interface, "netns", namespacePath(away))
	from := s.await(0, "detaching", func(e Event) bool { return e.Kind == Detached })
	netlabtest.Run(t, away, "ip", "link", "set", netlab.Interface, "netns", namespacePath(s.pair.Server))
	netlabtest.Check(t, netlab.SetUp(s.pair.Server, netlab.Interface))
	if now := index(t, s.pair.Server, netlab.Interface); now != s.at {
		s.at = now
		s.c.Set(s.want(b, udp(7000)))
	}
	s.attached(from, netlab.Interface)
	s.witness = newWitness(t, s.pair.Server, netlab.Interface)
	s.until(s.knock4(udp(7000)))
}

// testUnwanted: of an interface that is wanted no more, nothing is captured; its counters stay.
func testUnwanted(t *testing.T, b config.Backend) {
	s := newScene(t, b, udp(7000))
	s.until(s.knock4(udp(7000)))
	w := s.want(b, udp(7000))
	w.Interfaces = []Interface{index(t, s.pair.Server, "lo")}
	s.c.Set(w)
	s.attached(0, "lo")
	before := s.c.Stats().Received
	if got := s.arrive(packettest.Build(s.knock4(udp(7000)), packettest.Options{})); len(got) != 0 {
		t.Errorf("captured %+v", got)
	}
	if after := s.c.Stats().Received; before == 0 || after != before {
		t.Errorf("%d packets received, then %d", before, after)
	}
}

// testOtherBackend goes from one backend to another and back.
func testOtherBackend(t *testing.T, b config.Backend) {
	s := newScene(t, b, udp(7000))
	for _, next := range []config.Backend{config.CaptureAuto, config.CaptureClassic, b} {
		s.set(s.want(next, udp(7000)))
		poll(t, "backend "+backendName(next), func() bool {
			got := s.c.Backend()
			return got == next || next == config.CaptureAuto && got != config.CaptureAuto
		})
	}
	if n := s.c.Stats(); n.Backend != b || n.Received == 0 || n.RefusedTotal() != 0 {
		t.Errorf("%+v", n)
	}
}

// testClosing: Run ends with packets nobody took and with a mark on its way, and leaves no descriptor; TestMain looks
// for goroutines.
func testClosing(t *testing.T, b config.Backend) {
	p := netlabtest.NewPair(t)
	client := netlabtest.NewInjector(t, p.Client, netlab.Interface, p.ServerMAC)
	w := Want{Backend: b, Any: true, Spec: spec([]netip.Addr{p.Server4}, udp(7000))}
	run := func() {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		c := New(Options{})
		ended := make(chan error, 1)
		go func() { ended <- p.Server.Do(func() error { return c.Run(ctx) }) }()
		c.Set(w)
		for e := range c.Events() {
			if e.Kind == Attached {
				break
			}
		}
		for n := range 2000 {
			k := knock(p.Client4, p.Server4, udp(7000))
			netlabtest.Check(t, client.SendIP(packettest.Build(k, packettest.Options{})))
			if n%500 == 0 {
				c.Sync(uint64(n + 1))
			}
		}
		cancel()
		select {
		case err := <-ended:
			netlabtest.Check(t, err)
		case <-time.After(waitBound):
			t.Fatal("Run did not end")
		}
	}
	run() // what the runtime opens once
	before := descriptors(t)
	for range 5 {
		run()
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors, before %d", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	netlabtest.Check(t, err)
	return len(list)
}

// testCapability: a process that may not capture learns what it lacks.
func testCapability(t *testing.T, b config.Backend) {
	n := netlabtest.NewNamespace(t)
	c := New(Options{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		// The thread is never unlocked: it ends with the goroutine.
		runtime.LockOSThread()
		ended <- n.Do(func() error {
			if err := dropCapabilities(); err != nil {
				return err
			}
			return c.Run(ctx)
		})
	}()
	c.Set(Want{Backend: b, Any: true})
	var e Event
	select {
	case e = <-c.Events():
	case err := <-ended:
		t.Fatalf("Run: %v", err)
	case <-time.After(waitBound):
		t.Fatal("no event")
	}
	cancel()
	<-ended // it can't return to the namespace that it came from
	var missing *CapabilityError
	if e.Kind != Failed || !errors.Is(e.Err, ErrCapability) || !errors.As(e.Err, &missing) {
		t.Fatalf("event %v", e)
	}
	t.Log(e)
}

// dropCapabilities takes all capabilities from the calling thread.
func dropCapabilities() error { return keepCapabilities(0) }

// keepCapabilities takes all capabilities from the calling thread but some.
func keepCapabilities(mask uint64) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	for i := range sets {
		sets[i].Effective = uint32(mask >> (32 * i))
		sets[i].Permitted = sets[i].Effective
	}
	_, _, errno := unix.RawSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&sets)), 0)
	if errno != 0 {
		return fmt.Errorf("dropping capabilities: %w", errno)
	}
	return nil
}
