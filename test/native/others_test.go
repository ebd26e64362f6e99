package native

import (
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"knockd/internal/daemontest"
)

// TestATableWithoutAnOwner is as before Linux 6.9, where anybody may change the table: it is back at once, with who
// was in, for no longer, and who did it is named.
func TestATableWithoutAnOwner(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.nft("add table inet knockd")
	d := s.start(ssh)
	s.granted(d)
	granted := time.Now()
	harms := []string{
		"flush table inet knockd",
		"delete table inet knockd; add table inet knockd",
		"delete table inet knockd; add table inet knockd",
		"flush ruleset",
	}
	for n, harm := range harms {
		s.nft(harm)
		d.WaitCount("the table inet knockd was changed or removed by nft (process ", n+1)
		daemontest.Eventually(t, "who is in is in again", func() bool { return s.left("10.0.0.2") > 0 })
		s.want(22, true)
		s.keeps("10.0.0.2", granted, 10*time.Minute)
	}
	x := s.stranger()
	time.Sleep(100 * time.Millisecond)
	x.sawNothing()
}

// TestEndedGrantsStayEnded: what was ended by hand does not come back with a table that is restored.
func TestEndedGrantsStayEnded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.nft("add table inet knockd")
	d := s.start(ssh)
	s.granted(d)
	s.verb("close", "ssh", "10.0.0.2")
	s.nft("delete table inet knockd; add table inet knockd")
	d.Wait("was changed or removed by nft (process ")
	s.eventually(22, false)
	time.Sleep(100 * time.Millisecond)
	s.want(22, false)
}

// TestTwoDaemons: the second with native doors is refused, one with commands alone works beside the first.
func TestTwoDaemons(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := s.start(ssh)
	s.granted(d)
	x := s.stranger()
	start := func(text string) *daemontest.Daemon {
		return daemontest.Start(t, s.Server, daemontest.Options{Config: text, Args: []string{"-v", "-i", "eth0"}})
	}
	second := start(strings.Replace(ssh, "tcp/22", "tcp/23", 1))
	if status := second.Exit(); status != 1 || !strings.Contains(second.Output(), fmt.Sprintf("belongs to another process (%d): stop it first", d.Pid())) {
		t.Errorf("status %d", status)
	}
	if out := s.refused("guard"); !strings.Contains(out, "belongs to another process") {
		t.Errorf("%s", out)
	}
	commands := start(nothing)
	commands.Wait("listening on eth0...")
	if status := commands.Stop(); status != 0 {
		t.Errorf("status %d", status)
	}
	s.want(22, true)
	s.want(23, true)
	x.sawNothing()
}

// TestTwoDaemonsWithoutOwners quarrel, but not with all their might, and say so.
func TestTwoDaemonsWithoutOwners(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.nft("add table inet knockd")
	d := s.start(ssh)
	second := daemontest.Start(t, s.Server, daemontest.Options{
		Config: strings.Replace(ssh, "tcp/22", "tcp/23", 1), Args: []string{"-v", "-i", "eth0"},
	})
	daemontest.Eventually(t, "one gives in", func() bool {
		const said = "once a second (does another knockd run?)"
		return d.Count(said)+second.Count(said) > 0
	})
	second.Kill()
	s.eventually(22, false)
	s.eventually(23, true)
	s.granted(d)
}

// TestKilledAndFlushed: a flush while no daemon runs may show the port, but lets nobody stay in for longer.
func TestKilledAndFlushed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := s.start(ssh)
	s.granted(d)
	granted := time.Now()
	d.Kill()
	s.nft("flush ruleset")
	d = s.startAsIs()
	d.Wait("listening on eth0...")
	x := s.stranger()
	most := 10*time.Minute - time.Since(granted) + time.Second
	if left := s.left("10.0.0.2"); left > most {
		t.Errorf("%v left", left)
	}
	time.Sleep(100 * time.Millisecond)
	x.sawNothing()
}

// TestTheLease looks at what the kernel holds of Unattended.
func TestTheLease(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start("[options]\n\tUnattended = 2m\n" + ssh)
	lease := regexp.MustCompile(`elements = \{ 6 timeout 2m expires (1m[345]\d|2m)|elements = \{ tcp timeout 2m expires (1m[345]\d|2m)`)
	if text := s.nft("list", "table", "inet", "knockd"); !lease.MatchString(text) {
		t.Errorf("no lease in\n%s", text)
	}
}

// TestABrokenReload changes nothing, and the verbs still reach the daemon: the way back must not hang on the file. It does
// not run beside others, see copied.
func TestABrokenReload(t *testing.T) {
	s := newSite(t)
	d := s.start(ssh)
	s.copied()
	s.granted(d)
	x := s.stranger()
	s.write(ssh + "\tOpen_Fro = 1m\n")
	d.Signal(syscall.SIGHUP)
	d.Wait("knockd.conf:5: ")
	d.Wait("the configuration is unchanged, the running one stays in force")
	s.want(22, true)
	if s.left("10.0.0.2") == 0 {
		t.Error("who was in is not any more")
	}
	x.sawNothing()
	s.verb("unhide")
	s.verb("status")
	s.want(22, true)
	time.Sleep(100 * time.Millisecond)
	if x.answers.Load() == 0 {
		t.Error("unhide said that every port is shown, and a stranger sees none")
	}
}

// TestUnhidden: a knock at a door that hides nothing says so.
func TestUnhidden(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := s.start(ssh)
	s.verb("unhide")
	if out := s.refused("open", "ssh", "10.0.0.9"); !strings.Contains(out, "nothing is hidden now") {
		t.Errorf("%s", out)
	}
	s.knock()
	d.Wait("ssh: not opened: nothing is hidden now")
	s.want(22, true)
	s.verb("reload")
	s.want(22, false)
	s.nft("flush ruleset")
	time.Sleep(200 * time.Millisecond)
	s.want(22, false)
}
