package control

import "time"

// The verbs that the daemon answers. Arguments and results are the types beside them.
const (
	VerbStatus    = "status"    // -> Status
	VerbReload    = "reload"    // -> nothing
	VerbOpen      = "open"      // DoorArgs -> Done
	VerbClose     = "close"     // DoorArgs -> Done
	VerbUnhide    = "unhide"    // -> Done
	VerbTry       = "try"       // TryArgs -> Done
	VerbConfirm   = "confirm"   // ConfirmArgs -> Done
	VerbRehearsed = "rehearsed" // -> Rehearsal
)

// DoorArgs name a door and a source; For is how long to open, 0: the door's own time.
type DoorArgs struct {
	Door   string        `json:"door"`
	Source string        `json:"source"`
	For    time.Duration `json:"for,omitempty"`
}

// TryArgs say for how long rules are on trial.
type TryArgs struct {
	For time.Duration `json:"for"`
}

// ConfirmArgs confirm a trial; Force does so without a knock and a connection since it began.
type ConfirmArgs struct {
	// Came is set by a caller whose session is a connection through a door, opened since the trial began.
	Came  bool `json:"came,omitempty"`
	Force bool `json:"force,omitempty"`
}

// Done is a verb that was done, told to a person.
type Done struct {
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Status is the running daemon seen from outside. Durations are in nanoseconds, as package time has them.
type Status struct {
	Daemon string `json:"daemon"`
	PID    int    `json:"pid"`
	Config string `json:"config"`
	// Warnings is what an operator has to act on, empty if all is well.
	Warnings []string `json:"warnings,omitempty"`
	// Uptime is since the daemon's start.
	Uptime     time.Duration     `json:"uptime"`
	Interfaces []InterfaceStatus `json:"interfaces"`
	// Backend is how packets come from the kernel: ebpf or classic; empty before there is one.
	Backend string        `json:"backend"`
	Capture CaptureStatus `json:"capture"`
	Engine  EngineStatus  `json:"engine"`
	// Hidden is what native doors hide now, as in the Open directive; empty if nothing.
	Hidden []string `json:"hidden"`
	// Trial is what is left of a trial, 0 for none.
	Trial time.Duration `json:"trial,omitempty"`
	// TrialBegan is when it began, since boot.
	TrialBegan time.Duration `json:"trial_began,omitempty"`
	Doors      []DoorStatus  `json:"doors"`
}

// InterfaceStatus is one interface that is wanted.
type InterfaceStatus struct {
	Name string `json:"name"`
	// State is listening, down, missing or waiting.
	State string `json:"state"`
}

// CaptureStatus counts packets since the start.
type CaptureStatus struct {
	Received uint64 `json:"received"`
	// Dropped were lost between kernel and daemon.
	Dropped uint64 `json:"dropped"`
	// Refused could not be read: truncated, or lying about a length.
	Refused uint64 `json:"refused"`
	// Held are strangers' first packets that the kernel held back in a flood (the eBPF backend alone); one whose source
	// went on counts as received, too.
	Held uint64 `json:"held"`
}

// EngineStatus is the table of sources.
type EngineStatus struct {
	Sources int `json:"sources"`
	// Evicted were dropped for want of room.
	Evicted uint64 `json:"evicted"`
}

// DoorStatus is one door.
type DoorStatus struct {
	Name string `json:"name"`
	// Kind is native, set, command or disabled.
	Kind string `json:"kind"`
	// Opens is what it opens: ports or sets; empty for doors with commands.
	Opens string `json:"opens,omitempty"`
	Hide  string `json:"hide,omitempty"`
	// Sequences is how many one-time sequences are left, nil for another door.
	Sequences *int `json:"sequences,omitempty"`
	// Disabled says why it never opens.
	Disabled string        `json:"disabled,omitempty"`
	Open     []GrantStatus `json:"open,omitempty"`
}

// GrantStatus is one source that is in.
type GrantStatus struct {
	Source string `json:"source"`
	// Left is the time that remains; -1 while a start command still runs.
	Left time.Duration `json:"left"`
}

// Rehearsal is what hidden ports would have done to their users.
type Rehearsal struct {
	// Since is for how long the rehearsal has run.
	Since time.Duration `json:"since"`
	Doors []string      `json:"doors"`
	Users []User        `json:"users"`
}

// User is one source that used a port on rehearsal.
type User struct {
	Door   string `json:"door"`
	Source string `json:"source"`
	// Knocked is set for one that had knocked each time; Admitted is set where Always_Allow lets it in.
	Knocked bool `json:"knocked"`
	// Times counts the minutes in which it came; Hours are the local hours of the day, sorted.
	Times int       `json:"times"`
	Days  int       `json:"days"`
	Hours []int     `json:"hours"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}
