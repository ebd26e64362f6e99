package netlab

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const routeFamily = unix.NETLINK_ROUTE

// Veth joins a and b (which may be the same) by a pair of interfaces, both down and without addresses. Checksum offload
// is off, so that raw receivers and captures see right checksums. The pair goes when either namespace ends.
func Veth(a *Namespace, nameA string, b *Namespace, nameB string) error {
	err := a.links(func(h *netlink.Handle) error {
		return h.LinkAdd(&netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: nameA, TxQLen: 1000},
			PeerName:      nameB,
			PeerNamespace: netlink.NsFd(b.Fd()),
		})
	})
	if err != nil {
		return unsupported(fmt.Sprintf("making a veth pair %s-%s", nameA, nameB), err)
	}
	if err := noChecksumOffload(a, nameA); err != nil {
		return err
	}
	return noChecksumOffload(b, nameB)
}

// SetUp sets an interface up. It does not wait for the carrier: WaitUp does.
func SetUp(n *Namespace, name string) error {
	return n.link(name, "setting up", (*netlink.Handle).LinkSetUp)
}

// SetDown sets an interface down.
func SetDown(n *Namespace, name string) error {
	return n.link(name, "setting down", (*netlink.Handle).LinkSetDown)
}

// Delete deletes an interface, and with it its peer.
func Delete(n *Namespace, name string) error {
	return n.link(name, "deleting", (*netlink.Handle).LinkDel)
}

// Rename renames an interface; kernels before 6.2 want it down for that.
func Rename(n *Namespace, name, to string) error {
	return n.link(name, "renaming", func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetName(l, to) })
}

// AddAddr adds an address with its prefix length to an interface. IPv6 addresses are usable at once.
func AddAddr(n *Namespace, name string, prefix netip.Prefix) error {
	return n.link(name, "adding "+prefix.String()+" to", func(h *netlink.Handle, l netlink.Link) error {
		return h.AddrAdd(l, address(prefix))
	})
}

// DeleteAddr takes an address from an interface.
func DeleteAddr(n *Namespace, name string, prefix netip.Prefix) error {
	return n.link(name, "taking "+prefix.String()+" from", func(h *netlink.Handle, l netlink.Link) error {
		return h.AddrDel(l, address(prefix))
	})
}

func address(prefix netip.Prefix) *netlink.Addr {
	a := &netlink.Addr{IPNet: ipNet(prefix)}
	if prefix.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return a
}

func ipNet(prefix netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}
}

// HardwareAddr is the link-layer address of an interface.
func HardwareAddr(n *Namespace, name string) (net.HardwareAddr, error) {
	var mac net.HardwareAddr
	err := n.link(name, "reading the address of", func(_ *netlink.Handle, l netlink.Link) error {
		mac = l.Attrs().HardwareAddr
		return nil
	})
	return mac, err
}

// AddNeighbour makes a permanent neighbour entry, so that no ARP or neighbour discovery delays a first packet.
func AddNeighbour(n *Namespace, name string, addr netip.Addr, mac net.HardwareAddr) error {
	return n.link(name, "adding neighbour "+addr.String()+" to", func(h *netlink.Handle, l netlink.Link) error {
		return h.NeighSet(&netlink.Neigh{
			LinkIndex: l.Attrs().Index, State: netlink.NUD_PERMANENT, IP: addr.AsSlice(), HardwareAddr: mac,
		})
	})
}

// AddRoute adds a route to a network (0.0.0.0/0 for the default) through an interface; via may be the zero Addr.
func AddRoute(n *Namespace, name string, to netip.Prefix, via netip.Addr) error {
	return n.link(name, "adding route "+to.String()+" to", func(h *netlink.Handle, l netlink.Link) error {
		return h.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: ipNet(to), Gw: via.AsSlice()})
	})
}

// WaitUp waits until an interface has its carrier and passes packets.
func WaitUp(n *Namespace, name string) error {
	deadline := time.Now().Add(wait)
	for {
		var state netlink.LinkOperState
		err := n.link(name, "watching", func(_ *netlink.Handle, l netlink.Link) error {
			state = l.Attrs().OperState
			return nil
		})
		if err != nil || state == netlink.OperUp {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("interface %s did not come up in %v, it is %v", name, wait, state)
		}
		time.Sleep(time.Millisecond)
	}
}

// links calls fn with an rtnetlink handle in the namespace.
func (n *Namespace) links(fn func(*netlink.Handle) error) error {
	return n.Do(func() error { return here(fn) })
}

// link calls fn with one interface of the namespace.
func (n *Namespace) link(name, doing string, fn func(*netlink.Handle, netlink.Link) error) error {
	err := n.links(func(h *netlink.Handle) error {
		l, err := h.LinkByName(name)
		if err != nil {
			return err
		}
		return fn(h, l)
	})
	if err != nil {
		return fmt.Errorf("%s %s: %w", doing, name, err)
	}
	return nil
}
