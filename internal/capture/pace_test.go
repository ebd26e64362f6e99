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
	}{
		"a knock":          {1, time.Hour, false},
		"busy":             {1, time.Millisecond, false},
		"fast":             {10, time.Millisecond, true},
		"400,000 a second": {400, time.Millisecond, true},
	} {
		var p pace
		now := start
		for range 300 {
			now += test.every
			p.saw(test.packets, now)
		}
		if p.flood != test.flood {
			t.Errorf("%s: %+v", name, p)
		}
		// It ends with the next look after a while.
		p.saw(0, now+floodWindow)
		p.saw(0, now+2*floodWindow)
		if p.flood {
			t.Errorf("%s: does not end", name)
		}
	}
}

// A flood is noticed within its first window.
func TestPaceBegins(t *testing.T) {
	var p pace
	now := 1000 * time.Hour
	p.saw(1, now)
	p.saw(floodPackets+1, now+time.Millisecond)
	if !p.flood {
		t.Error("not noticed")
	}
}
