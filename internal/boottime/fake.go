package boottime

import (
	"sync"
	"time"
)

// Fake is a Clock that stands still until it is told to go on. Its methods may be called from any goroutine.
type Fake struct {
	mu     sync.Mutex
	now    time.Duration
	timers map[*fakeTimer]struct{}
}

// NewFake returns a clock that shows now.
func NewFake(now time.Duration) *Fake {
	return &Fake{now: now, timers: map[*fakeTimer]struct{}{}}
}

// Now returns the time that the clock shows.
func (f *Fake) Now() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Advance moves the clock by d, as a suspended machine sees it: all at once. Timers that are due fire before it
// returns.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now += d
	for t := range f.timers {
		t.fire()
	}
}

// Timer returns a timer of this clock.
func (f *Fake) Timer() (Timer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := &fakeTimer{clock: f, c: make(chan time.Duration, 1)}
	f.timers[t] = struct{}{}
	return t, nil
}

type fakeTimer struct {
	clock    *Fake
	c        chan time.Duration
	set      bool
	deadline time.Duration
}

// fire fires the timer if it is due. The clock's lock is held.
func (t *fakeTimer) fire() {
	if !t.set || t.clock.now < t.deadline {
		return
	}
	t.set = false
	select {
	case t.c <- t.clock.now:
	default:
	}
}

func (t *fakeTimer) Reset(deadline time.Duration) error {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	t.disarm()
	t.set, t.deadline = true, deadline
	t.fire()
	return nil
}

func (t *fakeTimer) Stop() error {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	t.disarm()
	return nil
}

// disarm also takes back what has fired. The clock's lock is held.
func (t *fakeTimer) disarm() {
	t.set = false
	select {
	case <-t.c:
	default:
	}
}

func (t *fakeTimer) C() <-chan time.Duration { return t.c }

func (t *fakeTimer) Close() error {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	delete(t.clock.timers, t)
	return nil
}
