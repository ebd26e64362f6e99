package netlab

import (
	"os"

	"github.com/vishvananda/netlink"
)

// prepare makes the namespace of the current thread ready: loopback up, and the same settings whatever the host's are.
func prepare() error {
	for _, s := range [][2]string{
		// Addresses are usable at once: no duplicate address detection.
		{"ipv6/conf/all/accept_dad", "0"},
		{"ipv6/conf/default/accept_dad", "0"},
		// Sources are forged in tests; the host may have passed on its reverse path filter.
		{"ipv4/conf/all/rp_filter", "0"},
		{"ipv4/conf/default/rp_filter", "0"},
	} {
		// A read-only /proc/sys, as containers have, leaves the defaults.
		_ = os.WriteFile("/proc/sys/net/"+s[0], []byte(s[1]), 0)
	}
	return here(func(h *netlink.Handle) error {
		lo, err := h.LinkByName("lo")
		if err != nil {
			return unsupported("looking for lo", err)
		}
		return unsupported("setting lo up", h.LinkSetUp(lo))
	})
}

// here calls fn with a handle for the current thread's namespace.
func here(fn func(*netlink.Handle) error) error {
	h, err := netlink.NewHandle(routeFamily)
	if err != nil {
		return unsupported("opening rtnetlink", err)
	}
	defer h.Close()
	if err := h.SetSocketTimeout(wait); err != nil {
		return unsupported("bounding rtnetlink", err)
	}
	return fn(h)
}
