package boottime

import (
	"time"

	"golang.org/x/sys/unix"
)

// NowOffset returns the time since boot and how much further the wall clock is: a stamp of real time (since 1970)
// minus offset is the same moment since boot. It is off by at most the time that the reading itself takes.
func NowOffset() (now, offset time.Duration) {
	before := Now()
	var real unix.Timespec
	// It cannot fail for a valid clock and address (clock_gettime(2), ERRORS).
	_ = unix.ClockGettime(unix.CLOCK_REALTIME, &real)
	after := Now()
	return after, time.Duration(real.Nano()) - before - (after-before)/2
}
