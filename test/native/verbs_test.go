package native

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"knockd/internal/daemontest"
	"knockd/internal/netlab/netlabtest"
)

// TestVerbsAtOnce asks for everything at once, in any order: the daemon lives, and does in the end what it says.
func TestVerbsAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := s.start(ssh)
	verbs := [][]string{
		{"reload"},
		{"unhide"},
		{"try", "1m"},
		{"confirm", "--force"},
		{"open", "ssh", "10.0.0.77"},
		{"close", "ssh", "10.0.0.77"},
		{"status"},
		{"reload"},
		{"try", "10s"},
	}
	each := 12
	if testing.Short() {
		each = 4
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range each {
				s.ask(verbs[rand.IntN(len(verbs))])
			}
		})
	}
	all.Wait()
	// Whatever was on trial is kept, and what is in force is hidden.
	s.ask([]string{"confirm", "--force"})
	s.ask([]string{"try", "1m"})
	s.ask([]string{"confirm", "--force"})
	s.verb("reload")
	s.verb("close", "ssh", "10.0.0.77")
	if status := s.status(); status.Trial != 0 || len(status.Warnings) != 0 || len(status.Hidden) != 1 || len(status.Doors[0].Open) != 0 {
		t.Errorf("%+v", status)
	}
	s.want(22, false)
	s.granted(d)
	s.want(22, true)
}

// ask runs a verb that may be refused, but is answered.
func (s *site) ask(verb []string) {
	ctx, cancel := context.WithTimeout(s.t.Context(), daemontest.Patience)
	defer cancel()
	out, err := s.Server.Command(ctx, "knockd", append([]string{verb[0], "-c", s.conf()}, verb[1:]...)...).CombinedOutput()
	if err != nil && !strings.Contains(string(out), "knockd: ") || strings.Contains(string(out), "in time") && !strings.Contains(string(out), "confirm") {
		s.t.Errorf("%q: %v: %s", verb, err, out)
	}
}

// TestCheckInASession warns who would have no way back.
func TestCheckInASession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	check := func(text, connection string) (string, error) {
		s.write(text)
		ctx, cancel := context.WithTimeout(t.Context(), daemontest.Patience)
		defer cancel()
		out, err := s.Server.Command(ctx, "env", "SSH_CONNECTION="+connection, "knockd", "check", "-c", s.conf()).CombinedOutput()
		return string(out), err
	}
	const session = "10.0.0.2 50000 10.0.0.1 22"
	for _, test := range []struct {
		text, connection, want string
		good                   bool
	}{
		{ssh, session, "the next one needs a knock at door ssh", true},
		{strings.Replace(ssh, "7000,", "0,", 1), session, "there would be no way back", false},
		{"[options]\n\tAlways_Allow = 10.0.0.0/8\n" + ssh, session, "good, 1 door, native", true},
		{ssh, "10.0.0.2 50000 10.0.0.1 2222", "good, 1 door, native", true},
		{ssh + "\tHide = rehearse\n", session, "good, 1 door, native", true},
		{ssh, "nonsense", "good, 1 door, native", true},
	} {
		out, err := check(test.text, test.connection)
		if !strings.Contains(out, test.want) || (err == nil) != test.good {
			t.Errorf("%s\nfrom %q: %v: %s", test.text, test.connection, err, out)
		}
		if test.connection != session && strings.Contains(out, "session") {
			t.Errorf("%q: %s", test.connection, out)
		}
	}
}

// TestGuardOfAnotherBoot: grants that came with a saved ruleset are nobody's, to the guard too. It does not run beside
// other tests: the mark of the boot is one for the machine.
func TestGuardOfAnotherBoot(t *testing.T) {
	s := newSite(t)
	d := s.start(ssh)
	s.granted(d)
	d.Kill()
	s.want(22, true)
	netlabtest.Check(t, os.WriteFile("/run/knockd/boot", []byte("another\n"), 0o644))
	if out := s.verb("guard"); out != fmt.Sprintln("hidden: tcp/22") {
		t.Errorf("%q", out)
	}
	s.want(22, false)
	d = s.startAsIs()
	d.Wait("listening on eth0...")
	s.granted(d)
	d.Kill()
	s.startAsIs().Wait("listening on eth0...")
	s.want(22, true) // the boot is marked now: what this one grants is kept
}
