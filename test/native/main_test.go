// Package native holds native doors to their promises when things go wrong around them: other programs take the table
// away, the daemon dies at a bad moment, a file is broken, a trial lapses, two daemons meet, sets are not what they were.
//
// That a door opens and closes as it should is the tests' in package doors.
package native

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"knockd/internal/control"
	"knockd/internal/daemontest"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

func TestMain(m *testing.M) { daemontest.Main(m) }

// The configurations of most tests.
const (
	ssh     = "[ssh]\n\tSequence = 7000,9000,8000\n\tOpen = tcp/22\n\tOpen_For = 10m\n"
	nothing = "[other]\n\tsequence = 1,3,2\n\tcommand = true\n"
)

// site is a server with a service at ports 22 and 23, and a client.
type site struct {
	*netlab.Pair
	t   *testing.T
	dir string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{Pair: netlabtest.NewPair(t), t: t, dir: t.TempDir()}
	for _, port := range []uint16{22, 23} {
		daemontest.Serve(t, s.Server, netip.AddrPortFrom(s.Server4, port))
	}
	return s
}

func (s *site) conf() string { return filepath.Join(s.dir, "knockd.conf") }

// start starts a daemon with a configuration and waits until it listens.
func (s *site) start(text string) *daemontest.Daemon {
	s.t.Helper()
	s.write(text)
	d := s.startAsIs()
	d.Wait("listening on eth0...")
	return d
}

// write writes the configuration.
func (s *site) write(text string) {
	s.t.Helper()
	netlabtest.Check(s.t, os.WriteFile(s.conf(), []byte(daemontest.Isolate(text, s.dir)), 0o600))
}

// startAsIs starts a daemon with the configuration as it is.
func (s *site) startAsIs() *daemontest.Daemon {
	s.t.Helper()
	return daemontest.Start(s.t, s.Server, daemontest.Options{Program: "knockd", Command: []string{"-v", "-i", "eth0", "-c", s.conf()}})
}

// verb runs a verb at the server, which must succeed.
func (s *site) verb(name string, args ...string) string {
	s.t.Helper()
	return netlabtest.Run(s.t, s.Server, "knockd", append([]string{name, "-c", s.conf()}, args...)...)
}

// refused runs a verb at the server, which must fail.
func (s *site) refused(name string, args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), daemontest.Patience)
	defer cancel()
	out, err := s.Server.Command(ctx, "knockd", append([]string{name, "-c", s.conf()}, args...)...).CombinedOutput()
	if err == nil {
		s.t.Errorf("knockd %s %q did not fail:\n%s", name, args, out)
	}
	return string(out)
}

// status is what the daemon says of itself.
func (s *site) status() control.Status {
	s.t.Helper()
	var status control.Status
	netlabtest.Check(s.t, json.Unmarshal([]byte(s.verb("status", "--json")), &status))
	return status
}

// left is the time that a source's grant at the first door has, 0 without one.
func (s *site) left(source string) time.Duration {
	s.t.Helper()
	for _, g := range s.status().Doors[0].Open {
		if g.Source == source {
			return g.Left
		}
	}
	return 0
}

// keeps holds that a grant has time left, and no more than it was given for.
func (s *site) keeps(source string, granted time.Time, length time.Duration) {
	s.t.Helper()
	most := length - time.Since(granted) + time.Second
	if left := s.left(source); left <= 0 || left > most {
		s.t.Errorf("%s has %v left, of at most %v", source, left, most)
	}
}

func (s *site) knock() {
	s.t.Helper()
	daemontest.Knock(s.t, s.Client, s.Server4, "7000", "9000", "8000")
}

// visible says whether the client gets a connection to a port.
func (s *site) visible(port uint16) bool {
	s.t.Helper()
	return daemontest.Connects(s.t, s.Client, netip.AddrPortFrom(s.Server4, port))
}

// want holds whether the client gets a connection to a port.
func (s *site) want(port uint16, visible bool) {
	s.t.Helper()
	if s.visible(port) != visible {
		s.t.Errorf("a connection to port %d: %v", port, !visible)
	}
}

func (s *site) eventually(port uint16, visible bool) {
	s.t.Helper()
	daemontest.Eventually(s.t, fmt.Sprintf("a connection to port %d: %v", port, visible), func() bool {
		return s.visible(port) == visible
	})
}

func (s *site) nft(args ...string) string {
	s.t.Helper()
	return netlabtest.Run(s.t, s.Server, "nft", args...)
}

// granted knocks and waits until the door is open.
func (s *site) granted(d *daemontest.Daemon) {
	s.t.Helper()
	n := d.Count("tcp/22 open for")
	s.knock()
	d.WaitCount("tcp/22 open for", n+1)
}
