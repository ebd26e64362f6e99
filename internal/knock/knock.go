// Package knock is the engine: which packets are a knock at which door.
//
// It is pure: time is an argument, events are returned, nothing is opened here. Memory is bounded whatever arrives.
// The rule it follows is told at Engine.
package knock

import (
	"net/netip"
	"time"

	"knockd/internal/packet"
)

// Door is what the engine knows of a door. Doors are identified by their index in the slice given to New.
type Door struct {
	// Sequence has 1 to 32 ports; an empty one never opens (a one-time door that ran out, a disabled door).
	Sequence []packet.Port
	// Timeout is the age at which a knock is dead, counted from its first packet.
	Timeout time.Duration
	Flags   packet.FlagMatch
	// Target is the destination a packet must have; the zero Addr: any of our own.
	Target netip.Addr
	// Decoys are the ports that end this door's knocks; nil: none.
	Decoys DecoySet
}

// DecoySet tells whether touching a port is a scanner's sign. decoy.Set is one.
type DecoySet interface {
	Contains(packet.Port) bool
}

// Kind is what happened.
type Kind uint8

// The kinds of events.
const (
	// Stage: a packet advanced or began a knock; Event.Stage is the highest stage reached, from 1.
	Stage Kind = iota + 1
	// Opened: the knock is complete.
	Opened
	// TimedOut: a source's last alignment at a door died of age; Event.Stage is the highest that died.
	TimedOut
)

// Event is one thing that happened at one door.
type Event struct {
	Kind   Kind
	Door   int
	Source netip.Addr
	Stage  int
	// Time is the packet's time, or the deadline that passed.
	Time time.Duration
}
