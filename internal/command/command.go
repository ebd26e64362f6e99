// Package command runs the doors' command lines: /bin/sh -c in a session of its own, output bounded, exit status
// told. Which command belongs to which knock is decided in package daemon.
package command

import (
	"net/netip"
	"time"
)

// Job is one command to run.
type Job struct {
	// Key orders jobs: those of one key run one after another, in the order given.
	Key Key
	// Line is the command line with %IP% replaced, at most MaxLine bytes.
	Line string
	// Event is "start" or "stop", told to the command as KNOCKD_EVENT beside KNOCKD_DOOR and KNOCKD_IP.
	Event string
	// Token is handed back with the outcome.
	Token uint64
}

// Key is a door and a source.
type Key struct {
	Door   string
	Source netip.Addr
}

// Outcome is how a command ended.
type Outcome struct {
	Job Job
	// Status is the exit status, 128 + the signal's number if one ended it, and -1 if it could not be started.
	Status int
	// Output is the beginning and end of what it printed, control bytes escaped, at most MaxOutput bytes.
	Output string
	Err    error
	Took   time.Duration
}

// MaxLine is the longest command line that is run (bytes, after %IP% is replaced), as in the reference.
const MaxLine = 4095

// MaxOutput bounds the output kept of a command, in bytes.
const MaxOutput = 1024
