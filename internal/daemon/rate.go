package daemon

import "time"

// rate lets a burst of lines through and then so many a second: a flood fills no disk.
type rate struct {
	tokens  float64
	last    time.Duration
	started bool
	left    uint64
}

const (
	rateBurst     = 500
	ratePerSecond = 50
)

// pass reports whether a line may pass now, and how many were left out before it.
func (r *rate) pass(now time.Duration) (pass bool, left uint64) {
	if !r.started {
		r.started, r.tokens, r.last = true, rateBurst, now
	}
	if now > r.last {
		r.tokens = min(rateBurst, r.tokens+(now-r.last).Seconds()*ratePerSecond)
		r.last = now
	}
	if r.tokens < 1 {
		r.left++
		return false, 0
	}
	r.tokens--
	left, r.left = r.left, 0
	return true, left
}
