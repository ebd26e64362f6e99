package link

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// The fixed parts of rtnetlink's messages (linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h), by offset. Numbers
// are in host byte order.
const (
	// struct ifinfomsg
	linkSize, linkType, linkIndex, linkFlags = unix.SizeofIfInfomsg, 2, 4, 8
	// struct ifaddrmsg
	addrSize, addrFlags, addrIndex = unix.SizeofIfAddrmsg, 2, 4
	// struct rtmsg
	routeSize, routeFamily, routePrefix, routeTable, routeType, routeFlags = unix.SizeofRtMsg, 0, 1, 4, 7, 8
)

// attributes calls fn with each attribute of a message, behind its fixed part of size bytes. It reports whether they
// were well-formed (netlink(7)).
func attributes(b []byte, size int, fn func(kind uint16, value []byte)) bool {
	if len(b) < size {
		return false
	}
	for b = b[align(size, len(b)):]; len(b) >= unix.SizeofRtAttr; {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofRtAttr || n > len(b) {
			return false
		}
		fn(binary.NativeEndian.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[unix.SizeofRtAttr:n])
		b = b[align(n, len(b)):]
	}
	return len(b) == 0
}

// align rounds n up to where the next part begins, at most the end.
func align(n, end int) int { return min((n+unix.RTA_ALIGNTO-1)&^(unix.RTA_ALIGNTO-1), end) }

// number is a 32-bit attribute, 0 if it is too short.
func number(value []byte) uint32 {
	if len(value) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(value)
}

// parseLink reads an RTM_NEWLINK.
func parseLink(b []byte) (l Link, ok bool) {
	ok = attributes(b, linkSize, func(kind uint16, value []byte) {
		switch kind {
		case unix.IFLA_IFNAME:
			l.Name = strings.TrimRight(string(value), "\x00")
		case unix.IFLA_MTU:
			l.MTU = int(number(value))
		}
	})
	if !ok || l.Name == "" {
		return Link{}, false
	}
	l.Index = int(int32(number(b[linkIndex:])))
	flags := number(b[linkFlags:])
	const usable = unix.IFF_UP | unix.IFF_RUNNING
	l.Up = flags&usable == usable
	l.Loopback = flags&unix.IFF_LOOPBACK != 0
	return l, true
}

// parseAddr reads an RTM_NEWADDR: the address and the interface that has it.
func parseAddr(b []byte) (a netip.Addr, index int, ok bool) {
	var local, other netip.Addr
	var flags uint32
	ok = attributes(b, addrSize, func(kind uint16, value []byte) {
		switch kind {
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(value)
		case unix.IFA_ADDRESS:
			other, _ = netip.AddrFromSlice(value)
		case unix.IFA_FLAGS:
			flags = number(value)
		}
	})
	if !ok {
		return netip.Addr{}, 0, false
	}
	// Of a point-to-point link IFA_ADDRESS is the peer's; IPv6 has IFA_LOCAL only there.
	if a = local; !a.IsValid() {
		a = other
	}
	flags |= uint32(b[addrFlags])
	return a, int(number(b[addrIndex:])), a.IsValid() && flags&unix.IFA_F_DADFAILED == 0
}
