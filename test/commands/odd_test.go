package commands

import (
	"strings"
	"testing"

	"knockd/internal/daemontest"
)

// odd is a command that no door should have.
type odd struct {
	name    string
	command string
	// says is what the log has about it, empty where it never returns.
	says string
	// times is how often it is knocked for, each time by another source.
	times int
}

func odds() []odd {
	return []odd{
		{"hung", "echo $$ >> DIR/pids; exec sleep 100000", "", most - 1},
		{"hung for good", "trap '' TERM INT HUP; echo $$ >> DIR/pids; exec sleep 100000", "", most - 1},
		{"failing", "echo no such thing >&2; exit 7", "command returned non-zero status code (7)", 200},
		{"missing", "/no/such/program %IP%", "command returned non-zero status code (127)", 100},
		{"no shell's language", "if ((; %IP%", "command returned non-zero status code (2)", 100},
		{"slow", "sleep 1", "", most - 1},
		{"loud", "head -c 200000000 /dev/zero; exit 3", "command returned non-zero status code (3)", 2},
		{"loud on both", "head -c 20000000 /dev/urandom >&2; head -c 20000000 /dev/urandom; exit 3", "command returned non-zero status code (3)", 2},
		{"killed", "kill -9 $$", "command returned non-zero status code (137)", 100},
		{"stopped", "echo $$ >> DIR/pids; kill -STOP $$", "", most - 1},
		{"forking away", "setsid sh -c 'echo $$ >> DIR/pids; exec sleep 100000' & exit 9", "command returned non-zero status code (9)", 20},
		{"forking away in silence", "setsid sh -c 'echo $$ >> DIR/pids; exec sleep 100000' >/dev/null 2>&1 <&- & exit 9", "command returned non-zero status code (9)", 20},
		{"talking on", "setsid sh -c 'echo $$ >> DIR/pids; while echo still here; do sleep 0.1; done' & exit 9", "command returned non-zero status code (9)", 5},
		{"closing its output", "exec >&- 2>&-; exit 9", "command returned non-zero status code (9)", 100},
	}
}

// TestOddCommands: while some sources' commands misbehave, another one's knock runs its own; once they are gone nothing is
// left of them.
func TestOddCommands(t *testing.T) {
	for _, o := range odds() {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && o.times > most {
				o.times = most
			}
			s := newScene(t, "[odd]\n\tSequence = 1001\n\tStart_Command = "+o.command+"\n[good]\n\tSequence = 1002\n\tStart_Command = echo %IP% >> DIR/good\n")
			s.good(1)
			before := s.idle()
			t.Cleanup(s.end)
			s.misbehave(o)
			s.end()
			s.good(3)
			s.nothingLeft(before, memorySlack)
		})
	}
}

// memorySlack is what the heap may have grown by, in bytes: far less than loud commands write.
const memorySlack = 16 << 20

// good knocks at the good door for the nth time, from a source of its own, and waits until its command has run.
func (s *scene) good(nth int) {
	s.t.Helper()
	s.hit(source(60000+nth), 1002)
	daemontest.Eventually(s.t, "the good command", func() bool { return len(s.lines("good")) >= nth })
}

// misbehave knocks for an odd command; a good one runs while those do, or right behind them.
func (s *scene) misbehave(o odd) {
	s.t.Helper()
	for n := range o.times {
		s.hit(source(n), 1001)
	}
	s.daemon.WaitCount("odd: running command", o.times)
	s.good(2)
	if strings.Contains(o.command, "pids") {
		daemontest.Eventually(s.t, "what stays has said so", func() bool { return len(s.lines("pids")) == o.times })
	}
	if o.says != "" {
		s.daemon.WaitCount("odd: "+o.says, o.times)
	}
}
