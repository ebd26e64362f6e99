package daemon

import (
	"testing"
	"time"
)

func TestRate(t *testing.T) {
	var r rate
	now := time.Hour
	passed := 0
	for range 10 * rateBurst {
		if pass, _ := r.pass(now); pass {
			passed++
		}
	}
	if passed != rateBurst {
		t.Errorf("%d passed at once", passed)
	}
	now += time.Second
	pass, left := r.pass(now)
	if !pass || left != 9*rateBurst {
		t.Errorf("a second later: %v, %d left out", pass, left)
	}
	passed = 1
	for range rateBurst {
		if pass, _ := r.pass(now); pass {
			passed++
		}
	}
	if passed != ratePerSecond {
		t.Errorf("%d passed in a second", passed)
	}
}

func TestRateWithAClockThatStandsStill(t *testing.T) {
	var r rate
	for range rateBurst {
		r.pass(time.Second)
	}
	if pass, _ := r.pass(0); pass {
		t.Error("an earlier time makes room")
	}
}
