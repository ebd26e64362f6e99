package packet

import (
	"errors"
	"math"
	"net/netip"
)

// Why a packet is refused. Parse returns these values themselves, never wrapped: they are counted, not printed.
var (
	// ErrTruncated: a header that is needed does not lie within the captured bytes.
	ErrTruncated = errors.New("a header is cut short")
	// ErrVersion: neither IPv4 nor IPv6.
	ErrVersion = errors.New("neither IPv4 nor IPv6")
	// ErrLength: the lengths that the headers give contradict each other.
	ErrLength = errors.New("the lengths in the headers contradict each other")
	// ErrFragment: not the first fragment of a datagram, or a first one without the whole transport header.
	ErrFragment = errors.New("a fragment without a whole transport header")
	// ErrProtocol: neither TCP nor UDP.
	ErrProtocol = errors.New("neither TCP nor UDP")
	// ErrExtension: too many IPv6 extension headers, one out of place, or a source route that has not ended.
	ErrExtension = errors.New("an IPv6 extension header out of place")
	// ErrSource: a source address that no host can have.
	ErrSource = errors.New("an impossible source address")
	// ErrDestination: an IPv4-mapped destination.
	ErrDestination = errors.New("an impossible destination address")
)

// Parse fills p from b, which begins at an IPv4 or IPv6 header: Src, Dst, SrcPort, Port and Flags, and nothing else.
// On an error, one of those above, p is as it was.
//
// b may end before the packet does (a snap length) as long as every header up to the transport header is in it; what
// the headers say of lengths must agree among themselves. Bytes after the IP length (padding) are ignored. Checksums
// are not looked at: a network card may fill them in later.
func Parse(b []byte, p *Packet) error {
	return ParseSnapped(b, math.MaxInt, p)
}

// ParseSnapped is Parse for a packet that was length bytes long on the wire, of which b are the first: a packet that
// claims to be longer is refused, as the kernel's IP layer refuses it.
func ParseSnapped(b []byte, length int, p *Packet) error {
	if len(b) == 0 {
		return ErrTruncated
	}
	var h network
	var err error
	switch b[0] >> 4 {
	case 4:
		err = parseIPv4(b, &h)
	case 6:
		err = parseIPv6(b, &h)
	default:
		err = ErrVersion
	}
	if err != nil {
		return err
	}
	if h.end > length {
		return ErrLength
	}
	if err := h.addresses(); err != nil {
		return err
	}
	return h.transport(b, p)
}

// network is what the IP headers say.
type network struct {
	src, dst netip.Addr
	proto    Proto
	// start and end are the offsets of the transport header and of the end of the packet; end may lie beyond the
	// captured bytes.
	start, end int
	// first is set if more fragments of the datagram follow.
	first bool
}

// addresses refuses what can't be real. Loopback is not refused here: whether it came from the wire is a matter of the
// interface.
func (h *network) addresses() error {
	if h.dst.Is4In6() {
		return ErrDestination
	}
	if h.src.Is4In6() || h.src.IsUnspecified() || h.src.IsMulticast() {
		return ErrSource
	}
	if h.src.Is4() {
		// 0.0.0.0/8 is "this network" (RFC 1122, section 3.2.1.3).
		a := h.src.As4()
		if a[0] == 0 || a == [4]byte{255, 255, 255, 255} {
			return ErrSource
		}
	}
	return nil
}
