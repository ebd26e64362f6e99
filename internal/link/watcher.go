package link

import (
	"context"
	"errors"
	"os"
	"reflect"
	"time"
)

const (
	// settle is how long notices are gathered before the kernel is asked for what is new: changes come in bursts.
	settle = 20 * time.Millisecond
	// After an error the sockets are opened again; the wait is doubled at each failure in a row.
	shortestRetry = 50 * time.Millisecond
	longestRetry  = 5 * time.Second
)

// Watcher follows the interfaces of one network namespace.
type Watcher struct {
	states chan State
	// buffer is for openSockets.
	buffer  int
	sockets *sockets
	// snapshot and last, what was published last, are Run's.
	snapshot  snapshot
	last      State
	published bool
}

// New opens the rtnetlink sockets of a Watcher, in the network namespace of the calling thread. No privilege is needed.
// They are closed by Run.
func New() (*Watcher, error) { return open(0) }

func open(buffer int) (*Watcher, error) {
	s, err := openSockets(buffer)
	if err != nil {
		return nil, err
	}
	return &Watcher{states: make(chan State, 1), buffer: buffer, sockets: s}, nil
}

// States returns where the states come: the first one at once when Run begins, then one after each change. Only the
// newest is kept for a slow reader. What a State refers to is not changed any more.
func (w *Watcher) States() <-chan State { return w.states }

// Run follows the interfaces until ctx is done, and returns nil. When a socket fails it opens new ones, on the thread
// that it runs on, and takes a fresh look; it never gives up.
func (w *Watcher) Run(ctx context.Context) error {
	defer func() { w.closeSockets() }()
	delay := shortestRetry
	for ctx.Err() == nil {
		progress, err := w.follow(ctx)
		if err == nil {
			return nil
		}
		w.closeSockets()
		if progress {
			delay = shortestRetry
		}
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
		delay = min(2*delay, longestRetry)
	}
	return nil
}

func (w *Watcher) closeSockets() {
	if w.sockets != nil {
		w.sockets.close()
		w.sockets = nil
	}
}

// follow publishes states until ctx is done, then it returns nil, or until an error. progress is whether there was a
// state at all.
func (w *Watcher) follow(ctx context.Context) (progress bool, err error) {
	if w.sockets == nil {
		if w.sockets, err = openSockets(w.buffer); err != nil {
			return false, err
		}
	}
	s := w.sockets
	// A deadline in the past ends listen at once. listen's own deadline may come after it: see next.
	stop := context.AfterFunc(ctx, func() { _ = s.until(time.Unix(1, 0)) })
	defer stop()
	for what := everything; ; progress = true {
		if err := w.snapshot.refresh(s.queries, what); err != nil {
			return progress, err
		}
		w.publish(w.snapshot.state())
		if what, err = w.next(ctx); err != nil || ctx.Err() != nil {
			return progress, err
		}
	}
}

// next waits for notices and returns what those concern that come in a short while. When ctx is done it returns.
func (w *Watcher) next(ctx context.Context) (what parts, err error) {
	if err := w.sockets.until(time.Time{}); err != nil {
		return 0, err
	}
	for what == 0 && err == nil && ctx.Err() == nil {
		what, err = w.sockets.listen()
	}
	if err == nil && ctx.Err() == nil {
		err = w.sockets.until(time.Now().Add(settle))
	}
	for err == nil && ctx.Err() == nil {
		var more parts
		more, err = w.sockets.listen()
		what |= more
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return what, err
}

// publish offers a state unless it is the one before, in the place of one that was not taken yet.
func (w *Watcher) publish(s State) {
	if w.published && reflect.DeepEqual(s, w.last) {
		return
	}
	w.last, w.published = s, true
	select {
	case <-w.states:
	default:
	}
	w.states <- s
}
