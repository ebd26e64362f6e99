// Package boottime reads and waits on CLOCK_BOOTTIME, the clock of every deadline in the daemon: it never jumps when
// the wall clock is set, and it goes on while the machine sleeps (clock_gettime(2), Linux 2.6.39).
package boottime

import (
	"time"

	"golang.org/x/sys/unix"
)

// Now returns the time since boot, time asleep included.
func Now() time.Duration {
	var ts unix.Timespec
	// It cannot fail for a valid clock and address (clock_gettime(2), ERRORS).
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano())
}
