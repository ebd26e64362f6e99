package daemon

import (
	"net/netip"
	"slices"
	"testing"

	"knockd/internal/link"
)

func machine(names ...string) link.State {
	var s link.State
	for i, name := range names {
		s.Links = append(s.Links, link.Link{
			Index: i + 1, Name: name, Up: true, Loopback: name == "lo",
			Addrs: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})},
		})
	}
	return s
}

func TestResolve(t *testing.T) {
	usual := machine("lo", "eth0", "wg0")
	usual.DefaultRoute = "wg0"
	other := machine("lo", "ens3")
	other.DefaultRoute = "ens3"
	for _, test := range []struct {
		name    string
		names   []string
		state   link.State
		want    string
		missing []string
	}{
		{"eth0 by default", nil, usual, "eth0", nil},
		{"without eth0 the default route's", nil, other, "ens3", nil},
		{"without either", nil, machine("lo"), "", []string{"the default route's interface"}},
		{"default", []string{"default"}, usual, "wg0", nil},
		{"several", []string{"wg0", "eth0"}, usual, "wg0,eth0", nil},
		{"one twice", []string{"eth0", "eth0"}, usual, "eth0", nil},
		{"one by two names", []string{"wg0", "default"}, usual, "wg0", nil},
		{"one is missing", []string{"eth0", "eth7"}, usual, "eth0", []string{"eth7"}},
		{"any", []string{"eth7", "any"}, usual, "any", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := resolve(test.names, test.state)
			if w.names() != test.want || !slices.Equal(w.missing, test.missing) {
				t.Errorf("%q, missing %q", w.names(), w.missing)
			}
		})
	}
}

func TestOwnAddresses(t *testing.T) {
	s := machine("lo", "eth0")
	s.Links[0].Addrs = []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("10.9.9.9")}
	s.Links[1].Addrs = []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fe80::1%eth0")}
	for _, test := range []struct {
		name   string
		listen string
		onlyV4 bool
		want   []string
	}{
		{"loopback from the wire is nobody's", "eth0", false, []string{"10.0.0.1", "10.9.9.9", "fe80::1"}},
		{"where loopback is listened on", "lo", false, []string{"10.0.0.1", "10.9.9.9", "127.0.0.1", "::1", "fe80::1"}},
		{"at any", "any", true, []string{"10.0.0.1", "10.9.9.9", "127.0.0.1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, a := range ownAddresses(s, resolve([]string{test.listen}, s), test.onlyV4) {
				got = append(got, a.String())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
