package daemon

import (
	"testing"
	"time"
)

func TestQuarrel(t *testing.T) {
	var q quarrel
	now := time.Hour
	for i := range 30 {
		want := silent
		switch {
		case i < quarrelTimes:
			want = atOnce
		case i == quarrelTimes:
			want = slower
		}
		if got := q.again(now); got != want {
			t.Errorf("change %d: %v, want %v", i+1, got, want)
		}
		now += restoreDelay
	}
	if got := q.again(now + quarrelOver); got != atOnce {
		t.Errorf("behind a pause: %v", got)
	}
}
