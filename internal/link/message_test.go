package link

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// message builds a message from its fixed part and attributes.
type message []byte

func (m message) with(kind uint16, value []byte) message {
	m = binary.NativeEndian.AppendUint16(m, uint16(unix.SizeofRtAttr+len(value)))
	m = append(binary.NativeEndian.AppendUint16(m, kind), value...)
	for len(m)%unix.RTA_ALIGNTO != 0 {
		m = append(m, 0)
	}
	return m
}

func word(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

func TestParseAddr(t *testing.T) {
	own, peer := netip.MustParseAddr("192.0.2.1").AsSlice(), netip.MustParseAddr("192.0.2.2").AsSlice()
	fixed := func() message {
		m := make(message, addrSize)
		copy(m[addrIndex:], word(7))
		return m
	}
	for name, test := range map[string]struct {
		m    message
		want string
	}{
		"local and peer": {fixed().with(unix.IFA_ADDRESS, peer).with(unix.IFA_LOCAL, own), "192.0.2.1"},
		"address alone":  {fixed().with(unix.IFA_ADDRESS, own), "192.0.2.1"},
		"tentative":      {fixed().with(unix.IFA_ADDRESS, own).with(unix.IFA_FLAGS, word(unix.IFA_F_TENTATIVE)), "192.0.2.1"},
		"taken":          {fixed().with(unix.IFA_ADDRESS, own).with(unix.IFA_FLAGS, word(unix.IFA_F_DADFAILED)), ""},
		"none":           {fixed(), ""},
		"of 5 bytes":     {fixed().with(unix.IFA_ADDRESS, make([]byte, 5)), ""},
		"cut":            {fixed().with(unix.IFA_ADDRESS, own)[:addrSize+6], ""},
		"empty":          {nil, ""},
	} {
		a, index, ok := parseAddr(test.m)
		if ok != (test.want != "") || ok && (a.String() != test.want || index != 7) {
			t.Errorf("%s: %v, %d, %v", name, a, index, ok)
		}
	}
}

func TestParseRoute(t *testing.T) {
	fixed := func(change func(message)) message {
		m := make(message, routeSize)
		m[routeFamily], m[routeTable], m[routeType] = unix.AF_INET, unix.RT_TABLE_MAIN, unix.RTN_UNICAST
		if change != nil {
			change(m)
		}
		return m.with(unix.RTA_OIF, word(3)).with(unix.RTA_PRIORITY, word(100))
	}
	hop := func(flags byte, index uint32) []byte { return append([]byte{8, 0, flags, 0}, word(index)...) }
	for name, test := range map[string]struct {
		m    message
		want int
	}{
		"plain":       {fixed(nil), 3},
		"to a host":   {fixed(func(m message) { m[routePrefix] = 32 }), 0},
		"other table": {fixed(func(m message) { m[routeTable] = 77 }), 0},
		"large table": {fixed(func(m message) { m[routeTable] = 0 }).with(unix.RTA_TABLE, word(1000)), 0},
		"unreachable": {fixed(func(m message) { m[routeType] = unix.RTN_UNREACHABLE }), 0},
		"dead":        {fixed(func(m message) { m[routeFlags] = unix.RTNH_F_DEAD }), 0},
		"two hops": {
			fixed(nil).with(unix.RTA_MULTIPATH, append(hop(unix.RTNH_F_DEAD, 4), hop(0, 5)...)), 5,
		},
		"bad hops": {fixed(nil).with(unix.RTA_MULTIPATH, hop(unix.RTNH_F_DEAD, 4)), 0},
		"empty":    {nil, 0},
	} {
		r, ok := parseRoute(test.m)
		if ok != (test.want != 0) || ok && (r.index != test.want || r.metric != 100) {
			t.Errorf("%s: %+v, %v", name, r, ok)
		}
	}
}

func TestDefaultIndex(t *testing.T) {
	routes := []route{
		{unix.AF_INET6, 0, 1}, {unix.AF_INET, 200, 2}, {unix.AF_INET, 100, 3}, {unix.AF_INET, 100, 4},
	}
	if got := defaultIndex(routes); got != 3 {
		t.Errorf("by %d, want 3", got)
	}
	if got := defaultIndex(routes[:1]); got != 1 {
		t.Errorf("by %d, want 1", got)
	}
	if got := defaultIndex(nil); got != 0 {
		t.Errorf("by %d, want none", got)
	}
}

// Whatever the bytes, parsing ends, and what it calls good is.
func FuzzParse(f *testing.F) {
	f.Add([]byte(make(message, linkSize).with(unix.IFLA_IFNAME, []byte("eth0\x00"))))
	f.Add([]byte(make(message, addrSize).with(unix.IFA_LOCAL, []byte{1, 2, 3, 4})))
	f.Add([]byte(make(message, routeSize).with(unix.RTA_MULTIPATH, []byte{8, 0, 1, 0, 1, 0, 0, 0, 9, 0})))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, ok := parseLink(b); ok && l.Name == "" {
			t.Error("an interface without a name")
		}
		if a, _, ok := parseAddr(b); ok && (!a.IsValid() || a.Zone() != "") {
			t.Errorf("address %v", a)
		}
		if r, ok := parseRoute(b); ok && r.index <= 0 {
			t.Errorf("a route by %d", r.index)
		}
	})
}
