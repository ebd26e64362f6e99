package capture

import (
	"fmt"

	"knockd/internal/config"
)

// EventKind is what happened.
type EventKind uint8

// The kinds of events.
const (
	// Attached: packets of Interface are captured from now on.
	Attached EventKind = iota + 1
	// Detached: Interface is wanted no more, or is gone.
	Detached
	// Failed: Err, at Interface or, if that is empty, at the backend. It is tried again; the same error of the same
	// interface is told once until it works.
	Failed
	// BackendChosen: Backend is used from now on; Err, if not nil, is why it is not eBPF.
	BackendChosen
)

// Event is one thing that happened to the sockets.
type Event struct {
	Kind EventKind
	// Interface is a name, or "any".
	Interface string
	Backend   config.Backend
	Err       error
}

// String returns the event for a log.
func (e Event) String() string {
	switch e.Kind {
	case Attached:
		return "capturing from " + e.Interface
	case Detached:
		return "no longer capturing from " + e.Interface
	case Failed:
		if e.Interface == "" {
			return fmt.Sprintf("capture: %v", e.Err)
		}
		return fmt.Sprintf("capture from %s: %v", e.Interface, e.Err)
	case BackendChosen:
		return e.backend()
	default:
		return fmt.Sprintf("capture event %d", e.Kind)
	}
}

func (e Event) backend() string {
	s := "capture by " + backendName(e.Backend)
	if e.Err != nil {
		s += fmt.Sprintf(" (%v)", e.Err)
	}
	return s
}

// backendName names a backend as the Capture directive does.
func backendName(b config.Backend) string {
	switch b {
	case config.CaptureEBPF:
		return "ebpf"
	case config.CaptureClassic:
		return "classic"
	default:
		return "auto"
	}
}
