// Package config reads knockd.conf: text to lines to a typed Config, with errors that name file, line and a remedy.
//
// It is pure: Parse takes bytes and returns values; whoever calls it opens the file and checks its mode. What a
// directive means when packets arrive belongs to the packages that act on it.
package config

import (
	"net/netip"
	"time"

	"knockd/internal/packet"
)

// Config is a whole configuration file.
type Config struct {
	// Path is the file's name as given, for messages.
	Path    string
	Options Options
	Doors   []Door
	// Warnings are what the file says that can be loaded but not meant: a door that never opens, a sequence in
	// order. The daemon logs them; knockd check exits 1 for those that are Serious.
	Warnings []Diagnostic
}

// Diagnostic is one thing to say about one line of the file.
type Diagnostic struct {
	// Line counts from 1; 0 is the whole file.
	Line int
	// Message says what is wrong, lower case, without a full stop; Hint says what to do, and may be empty.
	Message, Hint string
	// Serious is set where the file does not do what it says.
	Serious bool
}

// Options is the section [options].
type Options struct {
	UseSyslog bool
	// LogFile and PidFile are paths, empty if absent.
	LogFile, PidFile string
	// Interfaces are names, or the single words "any" or "default"; empty if absent.
	Interfaces []string
	// AlwaysAllow are the sources and the interfaces that no native door ever drops.
	AlwaysAllow           []netip.Prefix
	AlwaysAllowInterfaces []string
	// Control is the path of the control socket, empty for "none". The default is DefaultControl.
	Control string
	// ControlGroup is the name of the group that may use the control socket; empty: root only.
	ControlGroup string
	// State is the directory of the journal, StateNone for none; StateSet is true where the file names it.
	State    string
	StateSet bool
	// Unattended is how long ports stay hidden without a daemon; 0 is "never" to be shown.
	Unattended time.Duration
	// Capture is the backend.
	Capture Backend
	// CloseAtExit: a clean stop runs the stop commands of what is open. Yes by default.
	CloseAtExit bool
	// MaxCommands bounds the commands running at once, DefaultMaxCommands by default.
	MaxCommands int
	// FloodThreshold is the number of new sources a second above which first knocks are held back in the
	// kernel (eBPF only), DefaultFloodThreshold by default; 0: always.
	FloodThreshold int
}

// The defaults of Options.
const (
	DefaultControl        = "/run/knockd/control.sock"
	DefaultState          = "/var/lib/knockd"
	StateNone             = "none"
	DefaultMaxCommands    = 256
	DefaultFloodThreshold = 1000
)

// Backend is how packets leave the kernel.
type Backend uint8

// The values of the Capture directive.
const (
	CaptureAuto Backend = iota
	CaptureEBPF
	CaptureClassic
)

// Door is one section that is not [options].
type Door struct {
	// Name is at most 127 bytes, as it appears in the log.
	Name string
	// Line is the line of the section's header.
	Line int
	// Sequence has 1 to 32 ports, or none if OneTimeFile is set.
	Sequence []packet.Port
	// OneTimeFile is the path of the one-time sequences, empty if the door has a fixed sequence.
	OneTimeFile string
	// SeqTimeout is how long a knock may take from its first packet on; 25 s by default.
	SeqTimeout time.Duration
	// Flags is the TCPFlags directive; FlagsSet is true where the file has one.
	Flags    packet.FlagMatch
	FlagsSet bool
	// Target is the address that packets must go to; the zero Addr: any of our own.
	Target netip.Addr
	// Start and Stop are the commands before %IP% is replaced.
	Start, Stop Command
	// CmdTimeout is the time between start and stop; 10 s by default.
	CmdTimeout time.Duration
	OnRepeat   OnRepeat
	// Cooldown is for how long after a knock more knocks of the source do nothing; 0: none.
	Cooldown time.Duration

	// Open is what a native door hides and opens; empty for the reference's doors.
	Open []PortRange
	// OpenFor is how long; 1 minute by default. For SetRef doors too.
	OpenFor time.Duration
	// Admit is the prefix length granted around the knocker, 32 and 128 by default.
	Admit4, Admit6 int
	// MaxOpen bounds the grants of the door, DefaultMaxOpen by default.
	MaxOpen int
	Hide    Hide
	// Set4 and Set6 name sets of the user's own ruleset, nil where the table of our own is used.
	Set4, Set6 *SetRef
	// Decoys is how many hashed decoy ports the door has; 0: no decoys at all.
	Decoys int

	// Disabled says why this door can never open ("port 0 in its sequence"), empty if it can.
	Disabled string
}

// Native reports whether the door opens by nftables instead of (or beside) commands.
func (d *Door) Native() bool { return len(d.Open) > 0 || d.Set4 != nil || d.Set6 != nil }

// The defaults of Door.
const (
	DefaultSeqTimeout = 25 * time.Second
	DefaultCmdTimeout = 10 * time.Second
	DefaultOpenFor    = time.Minute
	DefaultMaxOpen    = 4096
	DefaultDecoys     = 4096
)

// Command is a command line for the shell, per family of the knocker.
type Command struct {
	V4 string
	// V6 is used for knockers on IPv6 if HasV6 is set (then an empty V6 runs nothing), else V4.
	V6    string
	HasV6 bool
}

// For returns the command line for a knocker, empty if nothing is to be run.
func (c Command) For(ip netip.Addr) string {
	if c.HasV6 && ip.Is6() && !ip.Is4In6() {
		return c.V6
	}
	return c.V4
}

// OnRepeat is what a knock does while a door with a stop command is open.
type OnRepeat uint8

// The values of the On_Repeat directive.
const (
	RepeatRun OnRepeat = iota
	RepeatExtend
)

// Hide is how a hidden port answers.
type Hide uint8

// The values of the Hide directive.
const (
	HideDrop Hide = iota
	HideReset
	HideRehearse
)

// PortRange is one item of the Open directive; First and Last are 1 to 65535, First <= Last.
type PortRange struct {
	Proto       packet.Proto
	First, Last uint16
}

// SetRef names an nftables set of the user; Family is ip, ip6 or inet, those whose tables see what comes to this machine.
type SetRef struct {
	Family, Table, Set string
}
