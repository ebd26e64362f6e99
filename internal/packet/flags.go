package packet

// Flags are the six classic TCP flags, as in byte 13 of the TCP header (RFC 9293, section 3.1).
type Flags uint8

// The bits of Flags.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG

	flagMask Flags = 1<<6 - 1
)

// FlagMatch says which TCP flags must be set and which must be clear; the others don't matter. The zero value
// admits every packet.
type FlagMatch struct {
	Set, Clear Flags
}

// Admits reports whether f satisfies the match.
func (m FlagMatch) Admits(f Flags) bool {
	return f&m.Set == m.Set && f&m.Clear == 0
}

// Bitmap returns the match as a set: bit i is set if a packet with the flags i (0 to 63) is admitted.
func (m FlagMatch) Bitmap() uint64 {
	var set uint64
	for f := Flags(0); f <= flagMask; f++ {
		if m.Admits(f) {
			set |= 1 << f
		}
	}
	return set
}

// OpensConnection reports whether a TCP packet asks for a new connection: of fin, syn, rst and ack only syn is set.
func (f Flags) OpensConnection() bool {
	return f&(FIN|SYN|RST|ACK) == SYN
}

// String returns the flags as the TCPFlags directive names them, "syn,ack"; "none" for none.
func (f Flags) String() string {
	names := [...]string{"fin", "syn", "rst", "psh", "ack", "urg"}
	text := ""
	for i, name := range names {
		if f&(1<<i) == 0 {
			continue
		}
		if text != "" {
			text += ","
		}
		text += name
	}
	if text == "" {
		return "none"
	}
	return text
}
