package daemon

import (
	"time"

	"golang.org/x/sys/unix"
)

// asleep is how long the machine has slept since its boot: the clock that goes on in sleep, less the one that does not.
func (d *Daemon) asleep() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0 // every Linux has it
	}
	return d.clock.Now() - time.Duration(ts.Nano())
}

// sleptLong is more than the two clocks could differ by being read one after the other.
const sleptLong = time.Second

// planExpiry looks after the grants when the first of them ends: the kernel ends them by itself, but its clock stands still
// while the machine sleeps.
func (d *Daemon) planExpiry() {
	if until, ok := d.native.grants.first(); ok {
		d.planExpiryAt(until)
	}
}

func (d *Daemon) planExpiryAt(until time.Duration) {
	n := d.native
	if n.expiry != nil && n.expiry.index >= 0 && n.expiry.at <= until {
		return
	}
	d.agenda.cancel(n.expiry)
	n.expiry = d.agenda.at(max(until, d.clock.Now()+time.Second), func(now time.Duration) {
		n.expiry = nil
		n.grants.remembered(now) // forgets those that are over
		d.endSlept()
		d.planExpiry()
	})
}

// endSlept ends the grants that are over since the machine slept.
func (d *Daemon) endSlept() {
	n, asleep := d.native, d.asleep()
	if asleep-n.slept < sleptLong || n.fw == nil {
		return
	}
	n.slept = asleep
	d.firewallWork("ending grants after a sleep", n.fw.Expire, nil)
}
