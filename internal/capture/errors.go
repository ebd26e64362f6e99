package capture

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// ErrCapability means that the process lacks a capability. errors.Is finds it in events and in what backends return;
// errors.As with *CapabilityError tells which.
var ErrCapability = errors.New("a capability is missing")

// CapabilityError names what is missing, and its text how to give it.
type CapabilityError struct {
	// Capability is as in capabilities(7), CAP_NET_RAW.
	Capability string
	Err        error
}

// Error names the capability and how to give it.
func (e *CapabilityError) Error() string {
	return fmt.Sprintf("%v: %s is missing: run as root, or \"setcap %s+ep\" on the program, "+
		"or AmbientCapabilities=%s in its unit", e.Err, e.Capability, strings.ToLower(e.Capability), e.Capability)
}

// Unwrap returns ErrCapability and the kernel's answer.
func (e *CapabilityError) Unwrap() []error { return []error{ErrCapability, e.Err} }

// lacking wraps EPERM and EACCES in a CapabilityError; other errors stay.
func lacking(capability string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return &CapabilityError{Capability: capability, Err: err}
	}
	return err
}
