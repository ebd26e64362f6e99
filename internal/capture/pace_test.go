package capture

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	const start = 1000 * time.Hour
	for name, test := range map[string]struct {
		packets int
		every   time.Duration
		flood   bool
		nap     time.Duration
	}{
		"a knock":          {1, time.Hour, false, longestNap},
		"busy":             {1, time.Millisecond, false, longestNap},
		"fast":             {10, time.Millisecond, true, longestNap},
		"400,000 a second": {400, time.Millisecond, true, longestNap},
		"4,000,000":        {4000, time.Millisecond, true, 128 * time.Microsecond},
	} {
		var p pace
		now := start
		for range 300 {
			now += test.every
			p.saw(test.packets, now, 4096)
		}
		if p.flood != test.flood || test.flood && p.nap != test.nap {
			t.Errorf("%s: %+v", name, p)
		}
		// It ends with the next look after a while.
		p.saw(0, now+floodWindow, 4096)
		p.saw(0, now+2*floodWindow, 4096)
		if p.flood {
			t.Errorf("%s: does not end", name)
		}
	}
}

// A flood is noticed within its first window, and small rings are looked at more often.
func TestPaceBegins(t *testing.T) {
	var p pace
	now := 1000 * time.Hour
	p.saw(1, now, 1024)
	p.saw(floodPackets+1, now+time.Millisecond, 1024)
	if !p.flood {
		t.Error("not noticed")
	}
	if small, large := napFor(400, time.Millisecond, 1024), napFor(400, time.Millisecond, 4096); small >= large {
		t.Errorf("naps of %v and %v", small, large)
	}
	if n := napFor(1<<30, 1, 1024); n != shortestNap {
		t.Errorf("a nap of %v", n)
	}
}
