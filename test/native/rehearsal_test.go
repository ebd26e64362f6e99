package native

import (
	"net/netip"
	"strings"
	"testing"

	"knockd/internal/daemontest"
	"knockd/internal/netlab/netlabtest"
)

// TestARehearsalGoesOn over a restart, and while the ports are shown by hand; who was let in by hand had knocked as it
// were.
func TestARehearsalGoesOn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	netlabtest.Addr(t, s.Client, "eth0", "10.0.0.3/16")
	netlabtest.Addr(t, s.Client, "eth0", "10.0.0.4/16")
	d := s.start(ssh + "\tHide = rehearse\n")
	if hidden := s.status().Hidden; len(hidden) != 0 {
		t.Errorf("hidden: %q", hidden)
	}
	s.want(22, true)
	if out := s.verb("rehearse"); !strings.Contains(out, "10.0.0.2 ssh: never knocked (once,") {
		t.Errorf("%s", out)
	}
	if status := d.Stop(); status != 0 {
		t.Errorf("status %d", status)
	}
	d = s.startAsIs()
	d.Wait("listening on eth0...")
	s.from("10.0.0.3", "22")
	s.verb("open", "ssh", "10.0.0.4")
	s.from("10.0.0.4", "22")
	out := s.verb("rehearse")
	if !strings.Contains(out, "10.0.0.2 ssh: never knocked (once,") || !strings.Contains(out, "10.0.0.3 ssh: never knocked (once,") ||
		strings.Contains(out, "10.0.0.4 ssh: never knocked") || !strings.Contains(out, "2 would have been locked out") {
		t.Errorf("%s", out)
	}
	s.verb("unhide")
	s.want(22, true)
	if out := s.verb("rehearse"); !strings.Contains(out, "2 would have been locked out") {
		t.Errorf("%s", out)
	}
	if n := d.Count("reading the rehearsal"); n != 0 {
		t.Errorf("the record could not be read %d times", n)
	}
	s.verb("reload")
	s.from("10.0.0.3", "22")
	s.verb("rehearse")
}

// from connects from another address of the client's.
func (s *site) from(source, port string) {
	s.t.Helper()
	netlabtest.Run(s.t, s.Client, "sh", "-c", "timeout 5 nc -n -w 2 -s "+source+" 10.0.0.1 "+port+" </dev/null")
}

// TestByHand opens and closes as people write it.
func TestByHand(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start("[ssh]\n\tSequence = 7000,9000,8000\n\tOpen = tcp/22\n\tAdmit = /24, /56\n[off]\n\tSequence = 0,1\n\tOpen = tcp/23\n")
	s.want(23, false) // a door that can never open hides all the same
	if out := s.verb("open", "ssh", "::ffff:10.0.0.9", "90"); !strings.Contains(out, "open for 10.0.0.9, for 1m30s") {
		t.Errorf("%s", out)
	}
	s.want(22, true)
	s.verb("close", "ssh", "10.0.0.200") // the same network
	s.want(22, false)
	s.verb("open", "off", "10.0.0.2")
	s.want(23, true)
	s.verb("open", "ssh", "fd00::77")
	daemontest.Serve(t, s.Server, netip.AddrPortFrom(s.Server6, 22))
	if !daemontest.Connects(t, s.Client, netip.AddrPortFrom(s.Server6, 22)) {
		t.Error("not open for a neighbour over IPv6")
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"open", "sssh", "10.0.0.2"}, `there is no door "sssh"`},
		{[]string{"open", "ssh", "host"}, `"host" is no IP address`},
		{[]string{"open", "ssh", "10.0.0.2", "1000h"}, "at most"},
		{[]string{"open", "ssh", "10.0.0.2", "0s"}, "no length of time"},
		{[]string{"close", "ssh"}, "usage: knockd close DOOR IP"},
	} {
		if out := s.refused(test.args[0], test.args[1:]...); !strings.Contains(out, test.want) {
			t.Errorf("%q: %s", test.args, out)
		}
	}
}
