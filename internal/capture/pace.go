package capture

import "time"

// The rate above which a reader naps between looks, over a window that is short enough to notice a flood's beginning
// and end.
const (
	floodWindow  = 100 * time.Millisecond
	floodPackets = 200 // 2,000 a second
)

// The nap of a reader in a flood: waking for each packet would cost more than reading it. The longest bounds what a
// flood adds to the delay of a knock.
const (
	shortestNap = 100 * time.Microsecond
	longestNap  = time.Millisecond
)

// pace tells a flood from peace by counting.
type pace struct {
	// flood is whether packets come so fast that the reader should nap, nap for how long.
	flood bool
	nap   time.Duration

	since time.Duration
	count int
}

// saw counts n packets at the time now, at a socket with room for capacity packets.
func (p *pace) saw(n int, now time.Duration, capacity int) {
	p.count += n
	past := now - p.since
	switch {
	case past >= floodWindow:
		p.flood = time.Duration(p.count)*floodWindow > floodPackets*past
		p.nap = napFor(p.count, past, capacity)
		p.since, p.count = now, 0
	case p.count > floodPackets && !p.flood:
		p.flood, p.nap = true, napFor(p.count, past, capacity)
	}
}

// napFor is the time in which count packets in past fill an eighth of the room.
func napFor(count int, past time.Duration, capacity int) time.Duration {
	fill := min(past, time.Second) * time.Duration(capacity) / time.Duration(8*max(count, 1))
	return min(max(fill, shortestNap), longestNap)
}
