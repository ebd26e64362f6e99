package boottime_test

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/boottime"
	"knockd/internal/netlab/netlabtest"
)

func TestMain(m *testing.M) { os.Exit(netlabtest.Leaks(m)) }

const patience = 30 * time.Second

// clocks are the kernel's, and a test's own with the means to let time pass.
func clocks() map[string]struct {
	clock boottime.Clock
	pass  func(time.Duration)
} {
	fake := boottime.NewFake(time.Hour)
	return map[string]struct {
		clock boottime.Clock
		pass  func(time.Duration)
	}{
		"system": {boottime.System{}, func(time.Duration) {}},
		"fake":   {fake, fake.Advance},
	}
}

func newTimer(t *testing.T, c boottime.Clock) boottime.Timer {
	t.Helper()
	timer, err := c.Timer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := timer.Close(); err != nil {
			t.Error(err)
		}
	})
	return timer
}

func reset(t *testing.T, timer boottime.Timer, deadline time.Duration) {
	t.Helper()
	if err := timer.Reset(deadline); err != nil {
		t.Fatal(err)
	}
}

func fired(t *testing.T, timer boottime.Timer) time.Duration {
	t.Helper()
	select {
	case at := <-timer.C():
		return at
	case <-time.After(patience):
		t.Fatal("the timer did not fire")
		return 0
	}
}

func TestTimerFiresNotBeforeItsDeadline(t *testing.T) {
	for name, c := range clocks() {
		t.Run(name, func(t *testing.T) {
			timer := newTimer(t, c.clock)
			for range 3 {
				deadline := c.clock.Now() + 5*time.Millisecond
				reset(t, timer, deadline)
				c.pass(5 * time.Millisecond)
				if at := fired(t, timer); at < deadline {
					t.Errorf("fired at %v, %v too early", at, deadline-at)
				}
			}
		})
	}
}

func TestTimerInThePastFiresAtOnce(t *testing.T) {
	for name, c := range clocks() {
		t.Run(name, func(t *testing.T) {
			timer := newTimer(t, c.clock)
			for _, deadline := range []time.Duration{-time.Second, 0, 1, c.clock.Now()} {
				reset(t, timer, deadline)
				fired(t, timer)
			}
		})
	}
}

func TestTimerForgetsWhatWasReplaced(t *testing.T) {
	for name, c := range clocks() {
		t.Run(name, func(t *testing.T) {
			timer, other := newTimer(t, c.clock), newTimer(t, c.clock)
			reset(t, timer, c.clock.Now()+time.Hour)
			reset(t, timer, c.clock.Now()+2*time.Hour)
			reset(t, timer, c.clock.Now()+3*time.Hour)
			if err := timer.Stop(); err != nil {
				t.Fatal(err)
			}
			// The other timer's firing shows that time went on.
			reset(t, other, c.clock.Now()+time.Millisecond)
			c.pass(time.Millisecond)
			fired(t, other)
			select {
			case at := <-timer.C():
				t.Errorf("a stopped timer fired at %v", at)
			default:
			}
		})
	}
}

func TestClosedTimerRefuses(t *testing.T) {
	timer, err := boottime.System{}.Timer()
	if err != nil {
		t.Fatal(err)
	}
	if err := timer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := timer.Reset(1); err == nil {
		t.Error("a closed timer was set")
	}
}

func TestFakeStandsStill(t *testing.T) {
	f := boottime.NewFake(time.Minute)
	timer := newTimer(t, f)
	reset(t, timer, time.Minute+2*time.Second)
	f.Advance(time.Second)
	if len(timer.C()) != 0 {
		t.Error("fired before its deadline")
	}
	f.Advance(time.Hour)
	if at := fired(t, timer); at != time.Hour+time.Minute+time.Second {
		t.Errorf("fired at %v", at)
	}
}

// TestOffset brackets the offset: a stamp of real time, taken between two readings of the clock since boot, must come
// out near that bracket whatever the machine is doing.
func TestOffset(t *testing.T) {
	before, offset := boottime.NowOffset()
	var real unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &real); err != nil {
		t.Fatal(err)
	}
	after, _ := boottime.NowOffset()
	at := time.Duration(real.Nano()) - offset
	if at < before-patience || at > after+patience {
		t.Errorf("a stamp taken between %v and %v became %v", before, after, at)
	}
}
