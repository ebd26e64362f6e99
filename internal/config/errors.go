package config

import (
	"fmt"
	"strings"
)

// Error is one thing for which a file is refused.
type Error struct {
	File string
	// Line counts from 1; 0 is the whole file.
	Line int
	// Message says what is wrong, lower case, without a full stop; Hint says what to do, and may be empty.
	Message, Hint string
}

// Error returns "FILE:LINE: message", without the hint.
func (e Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message)
}

// Errors are all of them, in the order of the file; at most maxErrors.
type Errors []Error

// Error returns one line for each.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.Is and errors.As the single ones.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, one := range e {
		all[i] = one
	}
	return all
}

// maxErrors keeps a file that is no configuration at all from filling the screen.
const maxErrors = 50

// In returns the diagnostic as one line for the log: "path:line: message (hint)".
func (d Diagnostic) In(path string) string {
	text := Error{File: path, Line: d.Line, Message: d.Message}.Error()
	if d.Hint == "" {
		return text
	}
	return text + " (" + d.Hint + ")"
}
