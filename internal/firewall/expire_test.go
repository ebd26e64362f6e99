package firewall

import (
	"net/netip"
	"testing"
	"time"

	"knockd/internal/boottime"
	"knockd/internal/config"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
)

// ssh has one door.
var ssh = Rules{Doors: []Door{{
	Name: "ssh", Ports: []config.PortRange{{Proto: packet.TCP, First: 22, Last: 22}}, Admit4: 32, Admit6: 128,
}}}

// newKernel is that of a namespace of its own.
func newKernel(t *testing.T) (k *Kernel) {
	t.Helper()
	netlabtest.Check(t, netlabtest.NewNamespace(t).Do(func() (err error) { k, err = NewKernel(); return err }))
	t.Cleanup(func() { _ = k.Close() })
	return k
}

// The kernel's timeouts do not count the time that the machine sleeps; a grant ends on time all the same.
func TestExpireAfterSleep(t *testing.T) {
	t.Parallel()
	k := newKernel(t)
	clock := boottime.NewFake(time.Hour)
	k.clock = clock
	netlabtest.Check(t, k.Install(t.Context(), ssh, nil))
	short, long := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	netlabtest.Check(t, k.Grant(t.Context(), "ssh", short, time.Hour))
	netlabtest.Check(t, k.Grant(t.Context(), "ssh", long, 3*time.Hour))
	clock.Advance(2 * time.Hour)
	netlabtest.Check(t, k.Expire(t.Context()))
	elements, err := k.socket.elements(t.Context(), ours(k.doors["ssh"].v4.set))
	netlabtest.Check(t, err)
	if len(elements) != 1 || elements[0].key[3] != 2 {
		t.Fatalf("in the kernel are %v", elements)
	}
	// A table that is rebuilt has what is left, and no more.
	netlabtest.Check(t, k.Install(t.Context(), ssh, nil))
	grants, err := k.List(t.Context())
	netlabtest.Check(t, err)
	if len(grants) != 1 || grants[0].Left > time.Hour {
		t.Fatalf("granted are %v", grants)
	}
}

// A grant that the kernel has and the daemon does not know of is replaced: it lasts as long as the new one.
func TestGrantOverAnUnknownOne(t *testing.T) {
	t.Parallel()
	k := newKernel(t)
	netlabtest.Check(t, k.Install(t.Context(), ssh, nil))
	for _, ip := range []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")} {
		netlabtest.Check(t, k.Grant(t.Context(), "ssh", ip, time.Minute))
		clear(k.doors["ssh"].cellFor(ip).until)
		netlabtest.Check(t, k.Grant(t.Context(), "ssh", ip, time.Hour))
		elements, err := k.socket.elements(t.Context(), ours(k.doors["ssh"].cellFor(ip).set))
		netlabtest.Check(t, err)
		if len(elements) != 1 || elements[0].left < time.Hour-time.Minute {
			t.Errorf("in the kernel are %+v", elements)
		}
	}
}
