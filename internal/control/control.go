// Package control is the Unix socket between a running daemon and the verbs of the command line: JSON lines with a
// version, one request and its answer a connection.
//
// What a verb does belongs to package daemon.
package control

import "encoding/json"

// Version is that of the protocol; a request of another is refused with an error that says so.
const Version = 1

// Request is one line from a client.
type Request struct {
	Version int    `json:"version"`
	Verb    string `json:"verb"`
	// Args are the verb's own.
	Args json.RawMessage `json:"args,omitempty"`
	// UID, GID and PID are the caller's, from SO_PEERCRED; never read from the line.
	UID uint32 `json:"-"`
	GID uint32 `json:"-"`
	PID int32  `json:"-"`
}

// Reply is the one line back.
type Reply struct {
	Version int `json:"version"`
	// Error is empty if the verb was done; Hint says what to do.
	Error string `json:"error,omitempty"`
	Hint  string `json:"hint,omitempty"`
	// Result is the verb's own.
	Result json.RawMessage `json:"result,omitempty"`
}
