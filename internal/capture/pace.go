package capture

import "time"

// The rate above which a reader naps between looks, over a window that is short enough to notice a flood's beginning
// and end.
const (
	floodWindow  = 100 * time.Millisecond
	floodPackets = 200 // 2,000 a second
)

// pace tells a flood from peace by counting.
type pace struct {
	flood bool
	since time.Duration
	count int
}

// saw counts n packets at the time now.
func (p *pace) saw(n int, now time.Duration) {
	p.count += n
	if p.count > floodPackets && now-p.since < floodWindow {
		p.flood = true
	}
	if past := now - p.since; past >= floodWindow {
		p.flood = time.Duration(p.count)*floodWindow > floodPackets*past
		p.since, p.count = now, 0
	}
}
