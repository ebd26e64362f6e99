package boottime

import "time"

// Clock is CLOCK_BOOTTIME, or a test's own.
type Clock interface {
	// Now returns the time since boot, time asleep included.
	Now() time.Duration
	// Timer returns a new timer that is not set. It must be closed.
	Timer() (Timer, error)
}

// Timer waits for a moment of its Clock. Reset and Stop may be called from one goroutine at a time.
type Timer interface {
	// Reset sets the only deadline, a time since boot; one in the past fires at once.
	Reset(deadline time.Duration) error
	// Stop takes the deadline away.
	Stop() error
	// C has the time at which the timer was seen to fire. It holds one value, the first; a value may still come from
	// a deadline that was replaced or stopped meanwhile, so the receiver looks at the clock, as after any wait.
	C() <-chan time.Duration
	// Close frees the timer. C gets nothing more.
	Close() error
}

// System is the kernel's clock.
type System struct{}

// Now returns the time since boot, time asleep included.
func (System) Now() time.Duration { return Now() }

// Timer returns a timerfd(2) on CLOCK_BOOTTIME.
func (System) Timer() (Timer, error) { return newFdTimer() }
