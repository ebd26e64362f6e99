package capture

import (
	"knockd/internal/config"
	"knockd/internal/filter"
)

// tap is a place to listen at: one interface, or every interface for one network protocol.
type tap struct {
	// name is the interface's name, or "any".
	name string
	// index is the interface's index, 0 for every interface.
	index int
	// protocol is the ETH_P_ constant to bind with, in host byte order.
	protocol uint16
}

// place tells sockets apart: a tap without the name, which may change.
type place struct {
	index    int
	protocol uint16
}

func (t tap) place() place { return place{t.index, t.protocol} }

// rules are what a backend lets through.
type rules struct {
	spec filter.Spec
	// floodThreshold is the number of new sources a second above which a backend may hold first knocks back in
	// the kernel; 0: always. The classic backend cannot, and ignores it.
	floodThreshold int
}

// backend is one way of having the kernel choose packets and hand them over. Its methods are called by the manager's
// goroutine alone, in this order: update, then attach and update in any order, then close after every socket was
// closed.
//
// A backend delivers through outlet.batches, takes part in outlet.barrier with every goroutine that delivers, and
// reports a socket that stopped working through outlet.failed.
type backend interface {
	// kind is CaptureClassic or CaptureEBPF.
	kind() config.Backend
	// update makes r the rules of every attached socket and of those to come, without losing a packet that both the
	// old and the new rules admit. On an error the old rules stay.
	update(r rules) error
	// attach opens a socket at t under the rules of the last update. An error that wraps ErrCapability names what
	// is missing.
	attach(t tap) (socket, error)
	// close frees what the backend holds beside its sockets, and waits for its goroutines.
	close()
}

// socket is one open tap.
type socket interface {
	// gone reports whether the socket's interface was deleted: it stays deaf, even if one of the same index appears.
	// One whose interface is merely down is not gone, the kernel has it hear again by itself.
	gone() bool
	// counters counts from the socket's beginning. It may be called from any goroutine, also after close.
	counters() Counters
	// close returns when nothing more of this socket will be delivered.
	close()
}

// outlet is where a backend's packets and troubles go.
type outlet struct {
	batches *batches
	barrier *barrier
	// failed reports, without blocking and from any goroutine, an error of the socket at t. The manager closes it and
	// tries again later; for ENETDOWN only if the socket is gone.
	failed func(t tap, err error)
}
