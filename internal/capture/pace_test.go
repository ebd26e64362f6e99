package capture

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	const start = 1000 * time.Hour
	for name, test := range map[string]struct {
		packets  int
		every    time.Duration
		capacity int
		flood    bool
	}{
		"a knock":                        {1, time.Hour, 4096, false},
		"busy":                           {1, time.Millisecond, 4096, false},
		"fast":                           {10, time.Millisecond, 4096, true},
		"400,000 a second":               {400, time.Millisecond, 4096, true},
		"400,000 a second in small room": {400, time.Millisecond, 1024, false},
		"50,000 a second in small room":  {50, time.Millisecond, 554, true},
	} {
		var p pace
		now := start
		for range 300 {
			now += test.every
			p.saw(test.packets, now, test.capacity)
		}
		if p.flood != test.flood {
			t.Errorf("%s: %+v", name, p)
		}
		// It ends with the next look after a while.
		p.saw(0, now+floodWindow, test.capacity)
		p.saw(0, now+2*floodWindow, test.capacity)
		if p.flood {
			t.Errorf("%s: does not end", name)
		}
	}
}

// A flood is noticed within its first window.
func TestPaceBegins(t *testing.T) {
	var p pace
	now := 1000 * time.Hour
	p.saw(1, now, 4096)
	p.saw(floodPackets+1, now+time.Millisecond, 4096)
	if !p.flood {
		t.Error("not noticed")
	}
}
