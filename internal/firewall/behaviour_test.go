package firewall_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"knockd/internal/boottime"
	"knockd/internal/config"
	"knockd/internal/firewall"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
)

// world is a Firewall with a view from outside: what a client sees.
type world interface {
	firewall.Firewall
	// shows reports whether the client at that address gets through to the TCP port.
	shows(source netip.Addr, port uint16) bool
	// wait lets time pass until the condition holds.
	wait(what string, condition func() bool)
}

// The client's addresses: of one /24, of another, and IPv6.
var (
	home      = netip.MustParseAddr("10.0.7.1")
	neighbour = netip.MustParseAddr("10.0.7.200")
	stranger  = netip.MustParseAddr("10.0.9.1")
	home6     = netip.MustParseAddr("fd00::2")
)

// fakeWorld is Fake with its clock.
type fakeWorld struct {
	*firewall.Fake
	t     *testing.T
	clock *boottime.Fake
}

func (w *fakeWorld) shows(source netip.Addr, port uint16) bool { return w.Admits(source, tcp(port)) }

func (w *fakeWorld) wait(what string, condition func() bool) {
	w.t.Helper()
	for range 10000 {
		if condition() {
			return
		}
		w.clock.Advance(10 * time.Millisecond)
	}
	w.t.Fatalf("%s: not within 100s of the fake clock", what)
}

// kernelWorld is Kernel, seen through TCP connections.
type kernelWorld struct {
	*firewall.Kernel
	lab *lab
}

func (w *kernelWorld) shows(source netip.Addr, port uint16) bool {
	w.lab.Helper()
	return w.lab.reaches(source, port)
}

func (w *kernelWorld) wait(what string, condition func() bool) {
	w.lab.Helper()
	eventually(w.lab, what, condition)
}

func newKernelWorld(t *testing.T) *kernelWorld {
	l := newLab(t)
	for _, a := range []netip.Addr{home, neighbour, stranger} {
		netlabtest.Addr(t, l.Client, "eth0", a.String()+"/16")
	}
	l.serve(22)
	l.serve(80)
	return &kernelWorld{Kernel: l.kernel(), lab: l}
}

// both runs a behaviour against the fake and against the kernel.
func both(t *testing.T, body func(t *testing.T, w world)) {
	t.Parallel()
	t.Run("fake", func(t *testing.T) {
		clock := boottime.NewFake(time.Hour)
		body(t, &fakeWorld{firewall.NewFake(clock), t, clock})
	})
	t.Run("kernel", func(t *testing.T) {
		t.Parallel()
		body(t, newKernelWorld(t))
	})
}

func tcp(port uint16) config.PortRange {
	return config.PortRange{Proto: packet.TCP, First: port, Last: port}
}

// expect fails the test unless the port is shown, or hidden, as said. What must be shown may take its time.
func expect(t *testing.T, w world, source netip.Addr, port uint16, shown bool) {
	t.Helper()
	if shown {
		w.wait("port shown", func() bool { return w.shows(source, port) })
	} else if w.shows(source, port) {
		t.Fatalf("port %d is shown to %s", port, source)
	}
}

func list(t *testing.T, w firewall.Firewall) []firewall.Grant {
	t.Helper()
	grants, err := w.List(t.Context())
	must(t, err)
	slices.SortFunc(grants, func(a, b firewall.Grant) int { return a.Prefix.Addr().Compare(b.Prefix.Addr()) })
	return grants
}

// only returns the one grant that there must be.
func only(t *testing.T, w firewall.Firewall) firewall.Grant {
	t.Helper()
	grants := list(t, w)
	if len(grants) != 1 {
		t.Fatalf("there are %d grants instead of 1: %v", len(grants), grants)
	}
	return grants[0]
}

func TestGrantAndRevoke(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		expect(t, w, home, 22, true)
		must(t, w.Install(t.Context(), rules(ssh(22)), nil))
		expect(t, w, home, 22, false)
		expect(t, w, home6, 22, false)
		expect(t, w, home, 80, true)
		must(t, w.Grant(t.Context(), "ssh", home, time.Minute))
		expect(t, w, home, 22, true)
		expect(t, w, neighbour, 22, false)
		expect(t, w, home6, 22, false)
		must(t, w.Grant(t.Context(), "ssh", home6, time.Minute))
		expect(t, w, home6, 22, true)
		must(t, w.Revoke(t.Context(), "ssh", home))
		must(t, w.Revoke(t.Context(), "ssh", stranger))
		expect(t, w, home, 22, false)
		expect(t, w, home6, 22, true)
		must(t, w.Remove(t.Context()))
		expect(t, w, home, 22, true)
		must(t, w.Remove(t.Context()))
	})
}

func TestGrantExpires(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		must(t, w.Install(t.Context(), rules(ssh(22)), nil))
		must(t, w.Grant(t.Context(), "ssh", home, 3*time.Second))
		expect(t, w, home, 22, true)
		w.wait("grant over", func() bool { return !w.shows(home, 22) })
		w.wait("grant gone", func() bool { return len(list(t, w)) == 0 })
	})
}

func TestGrantIsExtendedNeverShortened(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		must(t, w.Install(t.Context(), rules(ssh(22)), nil))
		must(t, w.Grant(t.Context(), "ssh", home, time.Minute))
		must(t, w.Grant(t.Context(), "ssh", home, time.Hour))
		if g := only(t, w); g.Left < 30*time.Minute {
			t.Fatalf("after an extension to an hour %s are left", g.Left)
		}
		must(t, w.Grant(t.Context(), "ssh", home, time.Minute))
		if g := only(t, w); g.Left < 30*time.Minute || g.Left > time.Hour {
			t.Fatalf("after a shorter grant %s are left of an hour", g.Left)
		}
		expect(t, w, home, 22, true)
	})
}

// An element that expires while it is extended is there afterwards.
func TestGrantIsExtendedAsItExpires(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		must(t, w.Install(t.Context(), rules(ssh(22)), nil))
		for range 40 {
			must(t, w.Grant(t.Context(), "ssh", home, 25*time.Millisecond))
			w.wait("about to expire", func() bool {
				grants := list(t, w)
				return len(grants) == 0 || grants[0].Left < 12*time.Millisecond
			})
			must(t, w.Grant(t.Context(), "ssh", home, time.Hour))
			only(t, w)
			must(t, w.Revoke(t.Context(), "ssh", home))
		}
	})
}

func TestAdmitWidens(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		door := ssh(22)
		door.Admit4, door.Admit6 = 24, 56
		must(t, w.Install(t.Context(), rules(door), nil))
		must(t, w.Grant(t.Context(), "ssh", home, time.Minute))
		must(t, w.Grant(t.Context(), "ssh", netip.MustParseAddr("fd00::99:1"), time.Minute))
		expect(t, w, home, 22, true)
		expect(t, w, neighbour, 22, true)
		expect(t, w, stranger, 22, false)
		expect(t, w, home6, 22, true)
		for i, want := range []string{"10.0.7.0/24", "fd00::/56"} {
			if got := list(t, w)[i].Prefix.String(); got != want {
				t.Errorf("granted %s, want %s", got, want)
			}
		}
	})
}

func TestMaxOpen(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		door := ssh(22)
		door.MaxOpen = 2
		must(t, w.Install(t.Context(), rules(door), nil))
		must(t, w.Grant(t.Context(), "ssh", home, time.Minute))
		must(t, w.Grant(t.Context(), "ssh", home6, 2*time.Second))
		mustFail(t, w.Grant(t.Context(), "ssh", stranger, time.Minute), firewall.ErrFull)
		expect(t, w, stranger, 22, false)
		must(t, w.Grant(t.Context(), "ssh", home, time.Minute))
		w.wait("room after an expiry", func() bool { return w.Grant(t.Context(), "ssh", stranger, time.Minute) == nil })
		expect(t, w, stranger, 22, true)
	})
}

func TestUnknownDoor(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		must(t, w.Install(t.Context(), rules(ssh(22)), nil))
		mustFail(t, w.Grant(t.Context(), "web", home, time.Minute), firewall.ErrNoDoor)
		if err := w.Install(t.Context(), rules(ssh(22), ssh(80)), nil); err == nil {
			t.Fatal("two doors of one name are installed")
		}
		expect(t, w, home, 22, false)
	})
}

func TestReinstallKeepsTheRemainingTime(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		must(t, w.Install(t.Context(), rules(ssh(22)), nil))
		must(t, w.Grant(t.Context(), "ssh", home, time.Minute))
		for range 5 {
			before := only(t, w).Left
			must(t, w.Install(t.Context(), rules(ssh(22)), nil))
			after := only(t, w).Left
			if after > before || after < before-20*time.Second {
				t.Fatalf("%s were left, and %s after a reload", before, after)
			}
		}
		expect(t, w, home, 22, true)
	})
}

func TestRemovedDoorIsRevokedAndShown(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		web := ssh(80)
		web.Name = "web"
		must(t, w.Install(t.Context(), rules(ssh(22), web), nil))
		must(t, w.Grant(t.Context(), "web", home, time.Minute))
		must(t, w.Install(t.Context(), rules(ssh(22)), nil))
		expect(t, w, stranger, 80, true)
		expect(t, w, stranger, 22, false)
		must(t, w.Install(t.Context(), rules(ssh(22), web), nil))
		expect(t, w, home, 80, false)
		if left := list(t, w); len(left) > 0 {
			t.Fatalf("a removed door left %v", left)
		}
	})
}

func TestGrantNeverMovesToOtherPorts(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		must(t, w.Install(t.Context(), rules(ssh(22)), nil))
		must(t, w.Grant(t.Context(), "ssh", home, time.Minute))
		wide := ssh(22)
		wide.Ports = append(wide.Ports, tcp(80))
		must(t, w.Install(t.Context(), rules(wide), nil))
		expect(t, w, home, 22, true)
		expect(t, w, home, 80, false)
		must(t, w.Install(t.Context(), rules(wide), nil))
		expect(t, w, home, 22, true)
		expect(t, w, home, 80, false)
		must(t, w.Grant(t.Context(), "ssh", home, time.Minute))
		expect(t, w, home, 80, true)
		must(t, w.Revoke(t.Context(), "ssh", home))
		expect(t, w, home, 22, false)
		must(t, w.Grant(t.Context(), "ssh", home, time.Minute))
		must(t, w.Install(t.Context(), rules(ssh(80)), nil))
		expect(t, w, home, 80, true)
		expect(t, w, stranger, 80, false)
		expect(t, w, stranger, 22, true)
	})
}

func TestChangedAdmitKeepsWhatWasAdmitted(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		wide, narrow := ssh(22), ssh(22)
		wide.Admit4 = 24
		must(t, w.Install(t.Context(), rules(narrow), nil))
		must(t, w.Grant(t.Context(), "ssh", home, time.Minute))
		must(t, w.Install(t.Context(), rules(wide), nil))
		expect(t, w, home, 22, true)
		expect(t, w, neighbour, 22, false)
		must(t, w.Grant(t.Context(), "ssh", neighbour, time.Minute))
		must(t, w.Install(t.Context(), rules(narrow), nil))
		expect(t, w, neighbour, 22, true)
		expect(t, w, stranger, 22, false)
	})
}

func TestSharedPort(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		staff, admin := ssh(22), ssh(22)
		staff.Name, admin.Name = "staff", "admin"
		admin.Ports = []config.PortRange{{Proto: packet.TCP, First: 20, Last: 90}}
		must(t, w.Install(t.Context(), rules(staff, admin), nil))
		must(t, w.Grant(t.Context(), "staff", home, time.Minute))
		must(t, w.Grant(t.Context(), "admin", stranger, time.Minute))
		expect(t, w, home, 22, true)
		expect(t, w, home, 80, false)
		expect(t, w, stranger, 22, true)
		expect(t, w, stranger, 80, true)
		expect(t, w, neighbour, 22, false)
	})
}

func TestLease(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		r := rules(ssh(22))
		r.Lease = 2 * time.Second
		must(t, w.Install(t.Context(), r, nil))
		expect(t, w, home, 22, false)
		w.wait("lease run out", func() bool { return w.shows(home, 22) })
		must(t, w.Renew(t.Context()))
		expect(t, w, home, 22, false)
		w.wait("lease run out again", func() bool { return w.shows(home, 22) })
		r.Lease = 0
		must(t, w.Install(t.Context(), r, nil))
		expect(t, w, home, 22, false)
	})
}

func TestAlwaysAllow(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		r := rules(ssh(22))
		for _, p := range []string{"10.0.7.0/24", "10.0.7.128/25", "10.0.6.0/24", "fd00::2/128", "255.255.255.255/32"} {
			r.AlwaysAllow = append(r.AlwaysAllow, netip.MustParsePrefix(p))
		}
		must(t, w.Install(t.Context(), r, nil))
		expect(t, w, home, 22, true)
		expect(t, w, neighbour, 22, true)
		expect(t, w, stranger, 22, false)
		expect(t, w, home6, 22, true)
	})
}

func TestRehearsalHidesNothing(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		door := ssh(22)
		door.Hide = config.HideRehearse
		must(t, w.Install(t.Context(), rules(door), nil))
		expect(t, w, home, 22, true)
		real := ssh(22)
		real.Name = "real"
		must(t, w.Install(t.Context(), rules(door, real), nil))
		expect(t, w, home, 22, false)
	})
}

func TestFreshDropsWhatIsFound(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		must(t, w.Install(t.Context(), rules(ssh(22)), nil))
		must(t, w.Grant(t.Context(), "ssh", home, time.Minute))
		r := rules(ssh(22))
		r.Fresh = true
		must(t, w.Install(t.Context(), r, nil))
		expect(t, w, home, 22, false)
	})
}

func TestRestore(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		host := netip.PrefixFrom(home, 32)
		wide := ssh(22)
		wide.Admit4 = 24
		remembered := []firewall.Grant{
			{Door: "ssh", Prefix: host, Left: time.Minute},
			{Door: "gone", Prefix: netip.PrefixFrom(stranger, 32), Left: time.Minute},
			{Door: "ssh", Prefix: netip.PrefixFrom(stranger, 32), Left: 0},
		}
		must(t, w.Install(t.Context(), rules(wide), remembered))
		expect(t, w, home, 22, true)
		expect(t, w, neighbour, 22, false)
		expect(t, w, stranger, 22, false)
		if g := only(t, w); g.Left > time.Minute || g.Prefix != host {
			t.Fatalf("restored as %v", g)
		}
	})
}

func TestThousandGrantsOfOneSourceAreOne(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		must(t, w.Install(t.Context(), rules(ssh(22)), nil))
		for range 1000 {
			must(t, w.Grant(t.Context(), "ssh", home, time.Minute))
		}
		only(t, w)
	})
}

// Hosts and networks, by Grant and over a reload and by restore: all of them are there.
func TestGrantsInGreatNumber(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		hosts, nets := ssh(22), ssh(80)
		nets.Name, nets.Admit4, nets.Admit6 = "web", 24, 64
		must(t, w.Install(t.Context(), rules(hosts, nets), nil))
		var remembered []firewall.Grant
		for i := range 4096 {
			a := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
			must(t, w.Grant(t.Context(), "ssh", a, time.Hour))
			b := netip.AddrFrom4([4]byte{11, byte(i >> 8), byte(i), 1})
			remembered = append(remembered, firewall.Grant{Door: "web", Prefix: netip.PrefixFrom(b, 24), Left: time.Hour})
		}
		must(t, w.Install(t.Context(), rules(hosts, nets), remembered))
		counts := map[string]int{}
		for _, g := range list(t, w) {
			counts[g.Door]++
		}
		if counts["ssh"] != 4096 || counts["web"] != 4096 {
			t.Fatalf("of 4096 grants each there are %v", counts)
		}
		mustFail(t, w.Grant(t.Context(), "ssh", home, time.Hour), firewall.ErrFull)
	})
}
