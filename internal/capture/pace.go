package capture

import "time"

// The rate above which a reader naps between looks, over a window that is short enough to notice a flood's beginning
// and end.
const (
	floodWindow  = 100 * time.Millisecond
	floodPackets = 200 // 2,000 a second
)

// nap is that of a reader in a flood: waking for each packet would cost more than reading it. It is the shortest that Go's
// poller knows, and bounds what a flood adds to the delay of a knock. Where the room for packets is small, a flood that would
// fill a quarter of it meanwhile keeps the reader awake.
const nap = time.Millisecond

// pace tells a flood from peace by counting.
type pace struct {
	// flood is whether packets come so fast that the reader should nap.
	flood bool

	since time.Duration
	count int
}

// saw counts n packets at the time now, at a socket with room for capacity packets.
func (p *pace) saw(n int, now time.Duration, capacity int) {
	p.count += n
	past := now - p.since
	switch {
	case past >= floodWindow:
		p.flood = time.Duration(p.count)*floodWindow > floodPackets*past && napFits(p.count, past, capacity)
		p.since, p.count = now, 0
	case p.count > floodPackets:
		p.flood = napFits(p.count, past, capacity)
	}
}

// napFits reports whether count packets in past would leave most of the room free in a nap.
func napFits(count int, past time.Duration, capacity int) bool {
	return time.Duration(count)*nap <= past*time.Duration(capacity/4)
}
