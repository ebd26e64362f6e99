package daemon

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"knockd/internal/boottime"
	"knockd/internal/netlab/netlabtest"
)

// clockPatience bounds every wait.
const clockPatience = 30 * time.Second

// record collects what a daemon says.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write takes lines.
func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// sleeper is a daemon in this process, on its loopback interface, whose clock stands still until it is told to go on.
type sleeper struct {
	t     *testing.T
	clock *boottime.Fake
	said  record
}

// newSleeper runs a daemon until the test ends.
func newSleeper(t *testing.T, state, doors string) *sleeper {
	t.Helper()
	s := &sleeper{t: t, clock: boottime.NewFake(boottime.Now())}
	path := filepath.Join(t.TempDir(), "knockd.conf")
	text := "[options]\nInterface = lo\nControl = none\nState = " + state + "\n" + doors
	netlabtest.Check(t, os.WriteFile(path, []byte(text), 0o600))
	d, err := New(Settings{ConfigPath: path, Verbose: true, Stdout: &s.said, Stderr: &s.said, Clock: s.clock})
	netlabtest.Check(t, err)
	s.run(d)
	s.heard("listening on lo...", 1)
	return s
}

func (s *sleeper) run(d *Daemon) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			netlabtest.Check(s.t, err)
		case <-time.After(clockPatience):
			s.t.Error("the daemon does not end")
		}
		if s.t.Failed() {
			s.t.Logf("the daemon said:\n%s", s.said.String())
		}
	})
}

// heard waits until the daemon has said text n times.
func (s *sleeper) heard(text string, n int) {
	s.t.Helper()
	s.eventually(text, func() bool { return s.count(text) >= n })
}

func (s *sleeper) count(text string) int { return strings.Count(s.said.String(), text) }

func (s *sleeper) eventually(what string, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(clockPatience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// knock sends one SYN over loopback, where nobody listens.
func (s *sleeper) knock(port string) {
	s.t.Helper()
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, clockPatience)
	if err == nil {
		s.t.Error("somebody listens on port " + port)
		_ = conn.Close()
	}
}

// clockDoors are a door that opens for an hour, whose status tells that the start command has returned, and another one.
const clockDoors = `[hour]
Sequence = 1001
Start_Command = touch DIR/open; exit 3
Stop_Command = rm DIR/open
Cmd_Timeout = 1h
[other]
Sequence = 1002
Start_Command = true
`

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestSuspend: the clock since boot jumps by what the machine slept, and what became due meanwhile is closed at once.
func TestSuspend(t *testing.T) {
	dir := t.TempDir()
	s := newSleeper(t, "none", strings.ReplaceAll(clockDoors, "DIR", dir))
	s.knock("1001")
	s.heard("hour: command returned non-zero status code (3)", 1)
	s.otherKnock(1) // the loop is past planning the closing
	s.clock.Advance(time.Hour - time.Second)
	s.otherKnock(2)
	if !exists(dir+"/open") || s.count("command timeout") > 0 {
		t.Fatal("closed before its time")
	}
	s.clock.Advance(time.Second)
	s.heard("127.0.0.1: hour: command timeout", 1)
	s.eventually("it is closed", func() bool { return !exists(dir + "/open") })
}

// otherKnock knocks at the other door for the nth time, and waits until the loop has followed the command's start.
func (s *sleeper) otherKnock(n int) {
	s.t.Helper()
	s.knock("1002")
	s.heard("other: running command: true", n)
}

// TestWallClockDoesNotClose: while the clock since boot stands still no door closes, whatever the clocks of the wall and
// of the process show. A wall clock that is set forwards or back is then nothing to the daemon.
func TestWallClockDoesNotClose(t *testing.T) {
	dir := t.TempDir()
	doors := strings.ReplaceAll(strings.ReplaceAll(clockDoors, "DIR", dir), "1h", "1")
	s := newSleeper(t, dir+"/state", doors)
	s.knock("1001")
	s.heard("hour: command returned non-zero status code (3)", 1)
	time.Sleep(1500 * time.Millisecond) // time passes everywhere but on the daemon's clock
	s.otherKnock(1)
	if s.count("command timeout") > 0 || !exists(dir+"/open") {
		t.Fatal("closed by another clock than its own")
	}
	s.eventually("it is closed once its own clock goes on", func() bool {
		s.clock.Advance(100 * time.Millisecond)
		return !exists(dir + "/open")
	})
}
