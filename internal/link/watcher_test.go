package link

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

func TestFirstState(t *testing.T) {
	l := newLab(t, netlabtest.NewNamespace(t), 0)
	lo := l.await("loopback", func(s State) bool { return true }).find("lo")
	if lo.Index != 1 || !lo.Loopback || !lo.Up || lo.MTU != 65536 || !lo.has("127.0.0.1") || !lo.has("::1") {
		t.Errorf("lo = %+v", lo)
	}
}

func TestInterfaces(t *testing.T) {
	n := netlabtest.NewNamespace(t)
	l := newLab(t, n, 0)
	veth(t, n, "a0", "b0")
	old := l.await("a0 appears", func(s State) bool { return s.find("a0").Up && s.find("b0").Up }).find("a0")
	if old.MTU != 1500 || old.Loopback {
		t.Errorf("a0 = %+v", old)
	}

	netlabtest.Check(t, netlab.SetDown(n, "b0"))
	l.await("a0 loses its carrier", func(s State) bool { return !s.find("a0").Up })
	netlabtest.Check(t, netlab.SetUp(n, "b0"))
	l.await("a0 has it again", func(s State) bool { return s.find("a0").Up })

	netlabtest.Check(t, netlab.SetDown(n, "a0"))
	l.await("a0 goes down", func(s State) bool { return !s.find("a0").Up })
	netlabtest.Check(t, netlab.Rename(n, "a0", "c0"))
	l.await("a0 becomes c0", func(s State) bool { return s.find("a0").Index == 0 && s.find("c0").Index == old.Index })
	netlabtest.Run(t, n, "ip", "link", "set", "c0", "mtu", "1400")
	l.await("another MTU", func(s State) bool { return s.find("c0").MTU == 1400 })

	netlabtest.Check(t, netlab.Delete(n, "c0"))
	l.await("c0 disappears", func(s State) bool { return s.find("c0").Index == 0 && s.find("b0").Index == 0 })
	veth(t, n, "c0", "d0")
	l.await("c0 is made again", func(s State) bool { return s.find("c0").Index > old.Index })
}

func TestMovedAway(t *testing.T) {
	n, other := netlabtest.NewNamespace(t), netlabtest.NewNamespace(t)
	here, there := newLab(t, n, 0), newLab(t, other, 0)
	veth(t, n, "a0", "b0")
	here.await("a0 appears", func(s State) bool { return s.find("a0").Up })
	netlabtest.Run(t, n, "ip", "link", "set", "a0", "netns", fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), other.Fd()))
	here.await("a0 is gone", func(s State) bool { return s.find("a0").Index == 0 && !s.find("b0").Up })
	there.await("a0 arrives", func(s State) bool { return s.find("a0").Index > 0 })
}

func TestAddresses(t *testing.T) {
	n := netlabtest.NewNamespace(t)
	l := newLab(t, n, 0)
	veth(t, n, "a0", "b0")
	netlabtest.Addr(t, n, "a0", "192.0.2.1/24")
	netlabtest.Addr(t, n, "a0", "2001:db8::1/64")
	a := l.await("addresses", func(s State) bool {
		return s.find("a0").has("192.0.2.1") && s.find("a0").has("2001:db8::1")
	}).find("a0")
	for _, addr := range a.Addrs {
		if addr.Zone() != "" {
			t.Errorf("%v has a zone", addr)
		}
	}
	netlabtest.Run(t, n, "ip", "addr", "add", "192.0.2.9", "peer", "198.51.100.9", "dev", "a0")
	a = l.await("one with a peer", func(s State) bool { return s.find("a0").has("192.0.2.9") }).find("a0")
	if a.has("198.51.100.9") {
		t.Error("the peer's address counts as own")
	}
	netlabtest.Check(t, netlab.DeleteAddr(n, "a0", netip.MustParsePrefix("192.0.2.1/24")))
	l.await("one gone", func(s State) bool { return !s.find("a0").has("192.0.2.1") })
	netlabtest.Check(t, netlab.SetDown(n, "a0"))
	// The kernel takes IPv6 addresses from an interface that goes down.
	l.await("IPv6 gone", func(s State) bool { return !s.find("a0").has("2001:db8::1") && s.find("a0").has("192.0.2.9") })
}

func TestDefaultRoute(t *testing.T) {
	n := netlabtest.NewNamespace(t)
	l := newLab(t, n, 0)
	veth(t, n, "a0", "b0")
	ip := func(args ...string) { t.Helper(); netlabtest.Run(t, n, "ip", args...) }
	is := func(name string) {
		t.Helper()
		l.await("default route by "+name, func(s State) bool { return s.DefaultRoute == name && s.find("b0").Up })
	}
	is("")
	ip("-6", "route", "add", "default", "dev", "b0")
	is("b0")
	ip("route", "add", "default", "dev", "a0", "metric", "100")
	is("a0")
	ip("route", "add", "default", "dev", "b0", "metric", "50")
	is("b0")
	ip("route", "add", "default", "dev", "a0", "table", "77")
	ip("route", "add", "unreachable", "default", "metric", "1")
	ip("route", "del", "default", "dev", "b0")
	is("a0")
	ip("route", "del", "default", "dev", "a0")
	is("b0")
	ip("route", "add", "default", "nexthop", "dev", "a0", "nexthop", "dev", "b0")
	is("a0")
	// An interface that goes down takes IPv4 routes with it, of which the kernel says nothing.
	netlabtest.Check(t, netlab.SetDown(n, "a0"))
	l.await("no route by a0", func(s State) bool { return s.DefaultRoute != "a0" })
}

// Thousands of changes into a tiny receive buffer: notices are lost, and the state is right in the end.
func TestOverrun(t *testing.T) {
	n := netlabtest.NewNamespace(t)
	veth(t, n, "a0", "b0")
	l := newLab(t, n, 1)
	l.await("a state", func(State) bool { return true })
	const many = 3000
	batch := ""
	for i := range many {
		batch += fmt.Sprintf("addr add 10.%d.%d.1/32 dev a0\n", i/250, i%250)
		if i%2 == 0 {
			batch += fmt.Sprintf("addr del 10.%d.%d.1/32 dev a0\n", i/250, i%250)
		}
	}
	file := filepath.Join(t.TempDir(), "batch")
	netlabtest.Check(t, os.WriteFile(file, []byte(batch), 0o600))
	netlabtest.Run(t, n, "ip", "-batch", file)
	v4 := func(s State) (count int) {
		for _, a := range s.find("a0").Addrs {
			if a.Is4() {
				count++
			}
		}
		return count
	}
	last := l.await("all changes", func(s State) bool { return v4(s) == many/2 })
	fresh := newLab(t, n, 0).await("a state", func(State) bool { return true })
	if !reflect.DeepEqual(last, fresh) { // a link-local address may have been late
		l.await("the same as a fresh look", func(s State) bool { return reflect.DeepEqual(s, fresh) })
	}
}

// A socket that fails is replaced, and what happened meanwhile is seen.
func TestSocketFails(t *testing.T) {
	n := netlabtest.NewNamespace(t)
	l := newLab(t, n, 0)
	l.await("a state", func(State) bool { return true })
	// Run waits at this socket, and does not touch the field before it fails.
	sockets := l.watcher.sockets
	netlabtest.Check(t, sockets.notices.Close())
	veth(t, n, "a0", "b0")
	l.await("a0 appears", func(s State) bool { return s.find("a0").Up })
	netlabtest.Check(t, netlab.Delete(n, "a0"))
	l.await("a0 disappears", func(s State) bool { return s.find("a0").Index == 0 })
}

func TestAbout(t *testing.T) {
	route := make([]byte, routeSize)
	host := append([]byte{}, route...)
	host[routePrefix] = 32
	for _, test := range []struct {
		kind int
		data []byte
		want parts
	}{
		{unix.RTM_NEWLINK, nil, linkPart | routePart},
		{unix.RTM_DELLINK, nil, everything},
		{unix.RTM_NEWADDR, nil, addrPart | routePart},
		{unix.RTM_DELADDR, nil, addrPart | routePart},
		{unix.RTM_NEWROUTE, route, routePart},
		{unix.RTM_DELROUTE, route, routePart},
		{unix.RTM_NEWROUTE, host, 0},
		{unix.RTM_DELROUTE, nil, 0},
		{unix.RTM_NEWNEIGH, nil, 0},
	} {
		got := about(netlink.Message{Header: netlink.Header{Type: netlink.HeaderType(test.kind)}, Data: test.data})
		if got != test.want {
			t.Errorf("type %d: %b, want %b", test.kind, got, test.want)
		}
	}
}
