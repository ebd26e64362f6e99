package packettest

import "encoding/binary"

// Extension is an IPv6 extension header.
type Extension struct {
	// Header is its number, as the header before it names it.
	Header byte
	// Body is all of it but its first byte, which names the next header.
	Body []byte
}

// HopByHop is a header of hop-by-hop options, all of them padding: 8 bytes and 8 more for each of extra.
func HopByHop(extra int) Extension { return Extension{0, padding(extra)} }

// DestinationOptions is a header of destination options, all of them padding.
func DestinationOptions(extra int) Extension { return Extension{60, padding(extra)} }

// Routing is a routing header (of an experimental type, RFC 4727) without addresses.
func Routing(segmentsLeft byte) Extension {
	return Extension{43, []byte{0, 253, segmentsLeft, 0, 0, 0, 0}}
}

// Fragment is a fragment header; offset counts units of 8 bytes, 0 to 8191.
func Fragment(offset uint16, more bool) Extension {
	body := []byte{0, 0, 0, 0, 0, 0, 1}
	field := offset << 3
	if more {
		field |= 1
	}
	binary.BigEndian.PutUint16(body[1:], field)
	return Extension{44, body}
}

// Authentication is an authentication header (RFC 4302) with an integrity value of words 32-bit words.
func Authentication(words int) Extension {
	body := make([]byte, 11+4*words)
	body[0] = byte(1 + words)
	return Extension{51, body}
}

// padding is the body of an options header filled with PadN options of 8 bytes (RFC 8200, section 4.2).
func padding(extra int) []byte {
	body := []byte{byte(extra), 1, 4, 0, 0, 0, 0}
	for range extra {
		body = append(body, 1, 6, 0, 0, 0, 0, 0, 0)
	}
	return body
}
