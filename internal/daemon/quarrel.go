package daemon

import "time"

// quarrel is with somebody who changes the table whenever we restore it, as a second daemon does where tables have no
// owners: after some times at once, it is restored at leisure.
type quarrel struct {
	times int
	last  time.Duration
}

// answer is how a change of the table is met.
type answer int

const (
	atOnce answer = iota
	// slower is the first that is not met at once, silent those behind it.
	slower
	silent
)

const (
	// quarrelTimes is how many changes in a row are met at once.
	quarrelTimes = 10
	// quarrelOver is the pause that ends the row: longer than the delay of a restoration at leisure.
	quarrelOver = 3 * restoreDelay
)

// again notes a change.
func (q *quarrel) again(now time.Duration) answer {
	if now-q.last > quarrelOver {
		q.times = 0
	}
	q.last = now
	q.times++
	switch {
	case q.times <= quarrelTimes:
		return atOnce
	case q.times == quarrelTimes+1:
		return slower
	}
	return silent
}
