package packet

import (
	"encoding/binary"
	"net/netip"
)

// The IPv6 header and its extensions (RFC 8200, sections 3 and 4; RFC 4302 for the authentication header).
const (
	ipv6Header         = 40
	ipv6HopByHop       = 0
	ipv6Routing        = 43
	ipv6Fragment       = 44
	ipv6Authentication = 51
	ipv6Destination    = 60

	ipv6FragmentOffset = 0xfff8
	ipv6MoreFragments  = 0x0001

	// MaxExtensions is how many IPv6 extension headers a packet may have. RFC 8200 recommends each kind at most
	// once, destination options twice: six, and two to spare.
	MaxExtensions = 8
)

// parseIPv6 reads the header and walks the extension headers up to the transport header. A jumbogram (RFC 2675) has a
// payload length of 0 and is refused by that.
func parseIPv6(b []byte, h *network) error {
	if len(b) < ipv6Header {
		return ErrTruncated
	}
	h.start = ipv6Header
	h.end = ipv6Header + int(binary.BigEndian.Uint16(b[4:]))
	h.proto = Proto(b[6])
	h.src = netip.AddrFrom16([16]byte(b[8:24]))
	h.dst = netip.AddrFrom16([16]byte(b[24:40]))
	for n := 0; isExtension(h.proto); n++ {
		if n == MaxExtensions {
			return ErrExtension
		}
		// Hop-by-hop options come first or not at all (RFC 8200, section 4.1).
		if h.proto == ipv6HopByHop && n > 0 {
			return ErrExtension
		}
		if err := h.skipExtension(b); err != nil {
			return err
		}
	}
	return nil
}

// isExtension reports whether p is an extension header that can be skipped. ESP and "no next header" can't: what
// follows them is no transport header that could be read.
func isExtension(p Proto) bool {
	switch p {
	case ipv6HopByHop, ipv6Routing, ipv6Fragment, ipv6Authentication, ipv6Destination:
		return true
	default:
		return false
	}
}

// skipExtension moves h over the extension header at its start.
func (h *network) skipExtension(b []byte) error {
	// No extension header is shorter than 8 bytes.
	if h.start+8 > h.end {
		return h.short()
	}
	if h.start+8 > len(b) {
		return ErrTruncated
	}
	e := b[h.start : h.start+8]
	size := (int(e[1]) + 1) * 8
	switch h.proto {
	case ipv6Fragment:
		size = 8
		if err := h.fragment(binary.BigEndian.Uint16(e[2:])); err != nil {
			return err
		}
	case ipv6Authentication:
		size = (int(e[1]) + 2) * 4
	case ipv6Routing:
		// With segments left, the destination is only a stop on the way (RFC 8200, section 4.4).
		if e[3] != 0 {
			return ErrExtension
		}
	}
	h.proto = Proto(e[0])
	h.start += size
	if h.start > h.end {
		return h.short()
	}
	return nil
}

// fragment judges the offset and flags of a fragment header. One that is both first and last (RFC 6946) is as good as
// none.
func (h *network) fragment(field uint16) error {
	if field&ipv6FragmentOffset != 0 {
		return ErrFragment
	}
	h.first = h.first || field&ipv6MoreFragments != 0
	return nil
}
