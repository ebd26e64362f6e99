package packet

import (
	"encoding/binary"
	"net/netip"
)

// The IPv4 header (RFC 791, section 3.1).
const (
	ipv4Header         = 20
	ipv4MoreFragments  = 0x2000
	ipv4FragmentOffset = 0x1fff
)

// parseIPv4 reads the header; options are skipped.
func parseIPv4(b []byte, h *network) error {
	if len(b) < ipv4Header {
		return ErrTruncated
	}
	h.start = int(b[0]&0x0f) * 4
	h.end = int(binary.BigEndian.Uint16(b[2:]))
	if h.start < ipv4Header || h.end < h.start {
		return ErrLength
	}
	fragment := binary.BigEndian.Uint16(b[6:])
	if fragment&ipv4FragmentOffset != 0 {
		return ErrFragment
	}
	h.first = fragment&ipv4MoreFragments != 0
	h.proto = Proto(b[9])
	h.src = netip.AddrFrom4([4]byte(b[12:16]))
	h.dst = netip.AddrFrom4([4]byte(b[16:20]))
	return nil
}
