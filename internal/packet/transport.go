package packet

import "encoding/binary"

// The sizes of the transport headers (RFC 9293, section 3.1; RFC 768).
const (
	tcpHeader = 20
	udpHeader = 8
)

// transport reads the TCP or UDP header and fills p.
func (h *network) transport(b []byte, p *Packet) error {
	size := udpHeader
	switch h.proto {
	case TCP:
		size = tcpHeader
	case UDP:
	default:
		return ErrProtocol
	}
	if h.start+size > h.end {
		return h.short()
	}
	if h.start+size > len(b) {
		return ErrTruncated
	}
	t := b[h.start : h.start+size]
	var flags Flags
	if h.proto == TCP {
		if err := h.tcpOffset(t); err != nil {
			return err
		}
		flags = Flags(t[13]) & flagMask
	} else if err := h.udpLength(t); err != nil {
		return err
	}
	p.Src, p.Dst = h.src, h.dst
	p.SrcPort = binary.BigEndian.Uint16(t)
	p.Port = Port{Proto: h.proto, Number: binary.BigEndian.Uint16(t[2:])}
	p.Flags = flags
	return nil
}

// tcpOffset checks that the TCP header with its options lies within the packet.
func (h *network) tcpOffset(t []byte) error {
	offset := int(t[12]>>4) * 4
	if offset < tcpHeader {
		return ErrLength
	}
	if h.start+offset > h.end {
		return h.short()
	}
	return nil
}

// udpLength checks the UDP length: it may be less than the IP layer's (the rest are UDP options, RFC 9868), and more
// only where more fragments follow. 0 means a jumbogram, which is refused.
func (h *network) udpLength(t []byte) error {
	length := int(binary.BigEndian.Uint16(t[4:]))
	if length < udpHeader || (length > h.end-h.start && !h.first) {
		return ErrLength
	}
	return nil
}

// short is the error of a packet that ends within its headers: where more fragments follow, it is a tiny fragment,
// made to hide ports or flags from whoever looks at the first one only (RFC 1858).
func (h *network) short() error {
	if h.first {
		return ErrFragment
	}
	return ErrLength
}
