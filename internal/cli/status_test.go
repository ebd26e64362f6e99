package cli

import (
	"testing"

	"knockd/internal/control"
)

func TestPackets(t *testing.T) {
	for want, c := range map[string]control.CaptureStatus{
		"7 received, 0 lost, 1 unreadable":                              {Received: 7, Refused: 1},
		"7 received, 2 lost, 0 unreadable, 900000 held back in a flood": {Received: 7, Dropped: 2, Held: 900000},
	} {
		if got := packets(c); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}
