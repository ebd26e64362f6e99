package native

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"knockd/internal/daemontest"
	"knockd/internal/netlab/netlabtest"
)

// TestATrialNeverShows puts rules on trial over rules that hide the same port: whether it lapses or is confirmed, a
// stranger never sees the port.
func TestATrialNeverShows(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := s.start(ssh)
	s.granted(d)
	x := s.stranger()
	s.write(ssh + "\tMax_Open = 9\n")
	s.verb("try", "10s")
	d.Wait("the rules on trial are taken back")
	time.Sleep(300 * time.Millisecond) // a stranger asks some thousand times
	x.sawNothing()
	s.verb("try", "10s") // again, of the same file
	s.verb("confirm", "--force")
	s.verb("reload")
	x.sawNothing()
	s.want(22, true) // who was in is in
	if left := s.left("10.0.0.2"); left > 10*time.Minute-5*time.Second || left < 8*time.Minute {
		t.Errorf("%v left", left)
	}
}

// TestARestartDuringATrial goes on with what was good before, until the trial is made again and confirmed.
func TestARestartDuringATrial(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := s.start(ssh)
	daemontest.Eventually(t, "a copy is kept", func() bool { return daemontest.Read(t, filepath.Join(s.dir, "state", "last-good.conf")) != "" })
	x := s.stranger()
	other := ssh + "[web]\n\tSequence = 4000,6000,5000\n\tOpen = tcp/23\n"
	s.write(other)
	s.verb("try", "1m")
	s.eventually(23, false)
	d.Kill()
	s.pointHere()
	d = s.startAsIs()
	d.Wait("listening on eth0...")
	s.want(23, true)
	if w := s.status().Warnings; len(w) != 1 || !strings.Contains(w[0], "tried and not confirmed") {
		t.Errorf("warnings: %q", w)
	}
	if out := s.refused("reload"); !strings.Contains(out, "tried and not confirmed") {
		t.Errorf("%s", out)
	}
	s.verb("try", "1m")
	s.eventually(23, false)
	if status := s.status(); status.Trial <= 0 || status.Trial > time.Minute {
		t.Errorf("on trial for %v", status.Trial)
	}
	s.verb("confirm", "--force")
	if w := s.status().Warnings; len(w) != 0 {
		t.Errorf("confirmed, and warnings: %q", w)
	}
	if status := d.Stop(); status != 0 {
		t.Errorf("status %d", status)
	}
	d = s.startAsIs()
	d.Wait("listening on eth0...")
	s.want(23, false)
	x.sawNothing()
}

// pointHere makes the last good configuration this daemon's again: the pointer to it is one for the machine, and other
// tests run beside.
func (s *site) pointHere() {
	s.t.Helper()
	path := filepath.Join(s.dir, "state", "last-good.conf")
	netlabtest.Check(s.t, os.WriteFile("/run/knockd/last-good", []byte(path+"\n"), 0o600))
}

// TestATrialThatMovesTheState is remembered where the next start looks for it.
func TestATrialThatMovesTheState(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := s.start(nothing)
	s.write("[options]\n\tState = " + filepath.Join(s.dir, "elsewhere") + "\n" + ssh)
	s.verb("try", "1m")
	s.want(22, false)
	d.Kill()
	s.verb("unhide")
	d = s.startAsIs()
	if status := d.Exit(); status != 1 || !strings.Contains(d.Output(), "tried and not confirmed") {
		t.Errorf("status %d", status)
	}
}
