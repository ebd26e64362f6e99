package capture

import "time"

// The rate above which a reader naps between looks, over a window that is short enough to notice a flood's beginning
// and end.
const (
	floodWindow  = 100 * time.Millisecond
	floodPackets = 200 // 2,000 a second
)

// nap is that of a reader in a flood: waking for each packet would cost more than reading it. It is the shortest that Go's
// poller knows, bounds what a flood adds to the delay of a knock, and fills a tenth of a ring at 400,000 packets a second.
const nap = time.Millisecond

// pace tells a flood from peace by counting.
type pace struct {
	// flood is whether packets come so fast that the reader should nap.
	flood bool

	since time.Duration
	count int
}

// saw counts n packets at the time now.
func (p *pace) saw(n int, now time.Duration) {
	p.count += n
	past := now - p.since
	switch {
	case past >= floodWindow:
		p.flood = time.Duration(p.count)*floodWindow > floodPackets*past
		p.since, p.count = now, 0
	case p.count > floodPackets:
		p.flood = true
	}
}
