package advice

import "net/netip"

// answer to whether a rule matches.
type answer int

const (
	no answer = iota
	maybe
	yes
)

func sure(b bool) answer {
	if b {
		return yes
	}
	return no
}

// outcome is what may become of a packet in a chain.
type outcome struct {
	accepted, dropped, returned, translated bool
	// by says what drops last: the packet goes no further than that, whatever may have happened before.
	by string
	// to is what destination NAT makes of the packet; ambiguous is set where that is not known for sure.
	to        translation
	ambiguous bool
}

// translation is a new destination. Without an address it is this machine, without a port the same one.
type translation struct {
	to   netip.Addr
	port uint16
}

// certain reports whether there is one outcome alone.
func (o outcome) certain() bool {
	n := 0
	for _, may := range []bool{o.accepted, o.dropped, o.returned, o.translated} {
		if may {
			n++
		}
	}
	return n == 1
}

func (o *outcome) add(other outcome) {
	if o.translated && other.translated && o.to != other.to {
		o.ambiguous = true
	}
	if !o.translated {
		o.to = other.to
	}
	o.accepted = o.accepted || other.accepted
	o.dropped = o.dropped || other.dropped
	o.returned = o.returned || other.returned
	o.translated = o.translated || other.translated
	o.ambiguous = o.ambiguous || other.ambiguous
	if other.by != "" {
		o.by = other.by
	}
}

// unknown is the outcome of what can't be followed.
func unknown() outcome {
	return outcome{accepted: true, dropped: true, by: "a rule that can't be followed"}
}
