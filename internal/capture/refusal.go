package capture

import (
	"errors"

	"knockd/internal/packet"
)

// Refusal is why a packet that the filter let through was not delivered.
type Refusal uint8

// The refusals, in the order of Counters.Refused.
const (
	// RefusedTruncated to RefusedDestination are the errors of packet.Parse.
	RefusedTruncated Refusal = iota
	RefusedVersion
	RefusedLength
	RefusedFragment
	RefusedProtocol
	RefusedExtension
	RefusedSource
	RefusedDestination
	// RefusedNetwork: the frame's type is neither IPv4 nor IPv6.
	RefusedNetwork
	// RefusedVLAN: a frame of a VLAN, seen at the interface below the VLAN's own.
	RefusedVLAN
	// RefusedLoopback: a loopback source that came in from elsewhere.
	RefusedLoopback
	// RefusedOutgoing: a packet of our own, on kernels before 4.20, which can't leave them out.
	RefusedOutgoing
	// RefusedOther: anything else.
	RefusedOther

	refusals = iota
)

// String returns the refusal as a word or two, for metrics and status.
func (r Refusal) String() string {
	names := [refusals]string{
		"truncated", "version", "length", "fragment", "protocol", "extension", "source", "destination",
		"network", "vlan", "loopback", "outgoing", "other",
	}
	if int(r) < len(names) {
		return names[r]
	}
	return "unknown"
}

// refusalOf maps an error of packet.Parse.
func refusalOf(err error) Refusal {
	for r, e := range [...]error{
		packet.ErrTruncated, packet.ErrVersion, packet.ErrLength, packet.ErrFragment,
		packet.ErrProtocol, packet.ErrExtension, packet.ErrSource, packet.ErrDestination,
	} {
		if errors.Is(err, e) {
			return Refusal(r)
		}
	}
	return RefusedOther
}
