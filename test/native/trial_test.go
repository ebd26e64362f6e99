package native

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
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

// TestARestartDuringATrial goes on with what was good before, until the trial is made again and confirmed. It does not run
// beside others, see copied.
func TestARestartDuringATrial(t *testing.T) {
	s := newSite(t)
	d := s.start(ssh)
	s.copied()
	x := s.stranger()
	other := ssh + "[web]\n\tSequence = 4000,6000,5000\n\tOpen = tcp/23\n"
	s.write(other)
	s.verb("try", "1m")
	s.eventually(23, false)
	d.Kill()
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

// copied waits until the configuration in force is kept as the last good one. Where that copy is, is noted once for the
// machine: a test that needs it does not run beside others.
func (s *site) copied() {
	s.t.Helper()
	daemontest.Eventually(s.t, "a copy is kept", func() bool {
		return daemontest.Read(s.t, "/run/knockd/last-good") == filepath.Join(s.dir, "state", "last-good.conf")+"\n"
	})
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

// TestATrialOverShownPorts: what was shown by unhide before a trial is shown behind it.
func TestATrialOverShownPorts(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("slow")
	}
	s := newSite(t)
	d := s.start(ssh)
	s.verb("unhide")
	s.verb("try", "10s") // the very file that was in force: it is not, now
	s.want(22, false)
	d.Wait("the rules on trial are taken back")
	s.eventually(22, true)
	if w := s.status().Warnings; len(w) != 1 || !strings.Contains(w[0], "every port is shown since knockd unhide") {
		t.Errorf("warnings: %q", w)
	}
	s.verb("try", "1m")
	s.want(22, false)
	s.verb("unhide")
	s.want(22, true)
	if status := s.status(); status.Trial != 0 || len(status.Hidden) != 0 {
		t.Errorf("%+v", status)
	}
	s.verb("try", "1m")
	s.verb("confirm", "--force")
	s.want(22, false)
	s.verb("reload")
}

// TestTrialsRefused: what is no trial, and what cannot be confirmed. It does not run beside others, see copied.
func TestTrialsRefused(t *testing.T) {
	s := newSite(t)
	s.start(ssh)
	for _, test := range []struct {
		verb []string
		want string
	}{
		{[]string{"try", "9s"}, "a trial lasts from 10s to 24h0m0s"},
		{[]string{"try", "soon"}, "no length of time"},
		{[]string{"try"}, "usage: knockd try FOR"},
		{[]string{"try", "5m"}, "there is nothing to try"},
		{[]string{"confirm"}, "nothing is on trial"},
		{[]string{"confirm", "--force"}, "nothing is on trial"},
	} {
		if out := s.refused(test.verb[0], test.verb[1:]...); !strings.Contains(out, test.want) {
			t.Errorf("%q: %s", test.verb, out)
		}
	}
	s.copied()
	s.write(ssh + "nonsense\n")
	if out := s.refused("try", "5m"); !strings.Contains(out, "knockd.conf:5: ") {
		t.Errorf("%s", out)
	}
	s.write(ssh)
	s.verb("reload") // nothing was noted
}

// TestATrialOnItsOwn starts a daemon for the trial, which goes on once it is confirmed.
func TestATrialOnItsOwn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	pid := filepath.Join(s.dir, "pid")
	s.write("[options]\n\tInterface = eth0\n\tPidFile = " + pid + "\n" + ssh)
	s.verb("try", "1m")
	s.end(pid)
	s.want(22, false)
	if out := s.refused("try", "5s"); !strings.Contains(out, "a trial lasts from") {
		t.Errorf("%s", out)
	}
	s.verb("confirm", "--force")
	s.verb("reload")
	s.verb("open", "ssh", "10.0.0.2")
	s.want(22, true)
}

// end ends a daemon that a verb left behind, with the test.
func (s *site) end(pidFile string) {
	s.t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(daemontest.Read(s.t, pidFile)))
	netlabtest.Check(s.t, err)
	s.t.Cleanup(func() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		daemontest.Eventually(s.t, "the daemon is gone", func() bool { return gone(pid) })
	})
}

// gone reports whether a process has ended; process 1 may not have been told yet.
func gone(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(text), ") Z ")
}
