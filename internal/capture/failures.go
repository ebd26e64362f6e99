package capture

import "sync"

// failures collects what backends report of their sockets until the manager looks. It holds one error a socket.
type failures struct {
	mu   sync.Mutex
	errs map[place]error
	wake chan struct{}
}

func newFailures() *failures {
	return &failures{errs: map[place]error{}, wake: make(chan struct{}, 1)}
}

func (f *failures) report(t tap, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errs[t.place()] = err
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// forget drops what was reported of a socket that is closed.
func (f *failures) forget(p place) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.errs, p)
}

// take returns what was reported since the last call.
func (f *failures) take() map[place]error {
	f.mu.Lock()
	defer f.mu.Unlock()
	errs := f.errs
	f.errs = map[place]error{}
	return errs
}
