package daemon

import (
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/boottime"
)

// sleepWatch ends grants on time on a machine that slept: the kernel's timeouts stand still meanwhile, ours do not.
type sleepWatch struct {
	// asleep is how long the machine has slept since boot, and atStart what that was when the daemon started.
	asleep  func() time.Duration
	atStart time.Duration
	// next is the next end of a grant.
	next *entry
}

func newSleepWatch() sleepWatch { return sleepWatch{asleep: asleep, atStart: asleep()} }

// asleep is how long the machine has slept since boot: CLOCK_BOOTTIME counts that time and CLOCK_MONOTONIC does not
// (clock_gettime(2)).
func asleep() time.Duration {
	var awake unix.Timespec
	// It cannot fail for a valid clock and address (clock_gettime(2), ERRORS).
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &awake)
	return boottime.Now() - time.Duration(awake.Nano())
}

const (
	// wakeMargin is behind the end of a grant: the kernel was told of it after it began for us.
	wakeMargin = time.Second
	// sleptLeast is more than the two clocks are apart by being read one after the other.
	sleptLeast = 100 * time.Millisecond
)

// watchEnd plans a look at the grants behind the end of one.
func (d *Daemon) watchEnd(until time.Duration) {
	s, at := &d.native.sleep, until+wakeMargin
	if s.next != nil {
		if s.next.at <= at {
			return
		}
		d.agenda.cancel(s.next)
	}
	s.next = d.agenda.at(at, d.grantsEnd)
}

// grantsEnd ends what is over, if the machine slept since the daemon's start; else the kernel has done so.
func (d *Daemon) grantsEnd(now time.Duration) {
	n := d.native
	n.sleep.next = nil
	if n.fw != nil && !n.unhidden && n.sleep.asleep() > n.sleep.atStart+sleptLeast {
		d.firewallWork("ending grants on time", n.fw.Expire, nil)
	}
	if next, ok := n.grants.nextEnd(now); ok {
		d.watchEnd(next)
	}
}

// nextEnd is the end of the grant that ends next, and forgets those that have ended.
func (g *grants) nextEnd(now time.Duration) (next time.Duration, ok bool) {
	for key, until := range g.until {
		switch {
		case until <= now:
			delete(g.until, key)
		case !ok || until < next:
			next, ok = until, true
		}
	}
	return next, ok
}
