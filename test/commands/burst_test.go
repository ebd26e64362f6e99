package commands

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"knockd/internal/daemontest"
	"knockd/internal/netlab/netlabtest"
)

// The doors of the burst say when each command begins and ends. While there is a gate, commands wait at it.
const burstDoors = `[plain]
	Sequence = 1001
	Start_Command = echo start:plain:%IP% >> DIR/events; [ -p DIR/gate ] && read x < DIR/gate; echo end:plain:%IP% >> DIR/events
[closing]
	Sequence = 1002
	Cmd_Timeout = 1
	Start_Command = echo start:closing:%IP% >> DIR/events; [ -p DIR/gate ] && read x < DIR/gate; echo end:closing:%IP% >> DIR/events
	Stop_Command = echo stop:closing:%IP% >> DIR/events
`

// TestBurst: 10,000 right knocks within moments. Every one runs its commands, no more than the bound at once, those of one
// source at one door one after another.
func TestBurst(t *testing.T) {
	t.Parallel()
	s := newScene(t, burstDoors)
	netlabtest.Check(t, syscall.Mkfifo(s.path("gate"), 0o600))
	before := s.idle()
	sources := 2000
	if testing.Short() {
		sources = 200
	}
	knocks := s.burst(sources)
	daemontest.Eventually(t, "every knock is seen", func() bool {
		c := s.status().Capture
		if c.Dropped > 0 {
			t.Fatalf("%d packets lost", c.Dropped)
		}
		return c.Received >= uint64(knocks)
	})
	daemontest.Eventually(t, "as many commands as may run", func() bool { return len(s.lines("events")) >= most })
	if n := s.children(); n > most {
		t.Errorf("%d commands run at once", n)
	}
	began := time.Now()
	s.openGate()
	s.finish(knocks, sources)
	t.Logf("%d knocks, with %d commands, in %v", knocks, knocks+sources, time.Since(began))
	s.judge()
	s.nothingLeft(before, burstSlack)
	if n := s.daemon.Count("command not run"); n > 0 {
		t.Errorf("%d commands not run", n)
	}
}

// burstSlack is what the collector may keep for a while of 10,000 jobs and their outcomes, in bytes.
const burstSlack = 48 << 20

// burst sends four knocks at the plain door and one at the closing one from each source, and returns how many that were.
func (s *scene) burst(sources int) (knocks int) {
	for round := range 5 {
		for n := range sources {
			s.hit(source(n), 1001+uint16(round/4))
			if knocks++; knocks%64 == 0 {
				time.Sleep(time.Millisecond) // so that nothing is lost
			}
		}
	}
	return knocks
}

// openGate takes the gate away and lets those go on that wait at it.
func (s *scene) openGate() {
	s.t.Helper()
	gate, err := os.OpenFile(s.path("gate"), os.O_RDWR, 0)
	netlabtest.Check(s.t, err)
	netlabtest.Check(s.t, os.Remove(s.path("gate")))
	_, err = gate.WriteString(strings.Repeat("\n", most))
	netlabtest.Check(s.t, err)
	s.t.Cleanup(func() { netlabtest.Check(s.t, gate.Close()) })
}

// finish waits until every command has run.
func (s *scene) finish(knocks, closings int) {
	s.t.Helper()
	want := 2*knocks + closings
	last, deadline := -1, time.Now().Add(daemontest.Patience)
	for {
		n := len(s.lines("events"))
		if n >= want {
			break
		}
		if n != last {
			last, deadline = n, time.Now().Add(daemontest.Patience) // it goes on
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d events of %d: commands are lost", n, want)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// judge reads the events in the order in which they were written.
func (s *scene) judge() {
	s.t.Helper()
	running, worst := map[string]bool{}, 0
	for _, event := range s.lines("events") {
		kind, key, _ := strings.Cut(event, ":")
		switch {
		case kind == "end":
			if !running[key] {
				s.t.Errorf("%s ended, and was not begun", key)
			}
			delete(running, key)
		case running[key]:
			s.t.Errorf("%s: two commands of one source at one door at once", event)
		case kind == "start":
			running[key] = true
		}
		worst = max(worst, len(running))
	}
	if worst != most {
		s.t.Errorf("up to %d commands at once, and %d may", worst, most)
	}
	if len(running) > 0 {
		s.t.Errorf("%d commands have not ended", len(running))
	}
}
