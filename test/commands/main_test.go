// Package commands runs a door's commands as they come in the world: hung, slow, loud, failing, killed, or leaving things
// behind, and very many at once. None of them may hold up anybody else's knock, or stay with the daemon.
package commands

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"knockd/internal/control"
	"knockd/internal/daemontest"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

func TestMain(m *testing.M) { daemontest.Main(m) }

// most is Max_Commands of every test.
const most = 16

// scene is a daemon, a directory for its commands, and who knocks.
type scene struct {
	t        *testing.T
	pair     *netlab.Pair
	daemon   *daemontest.Daemon
	injector *netlab.Injector
	dir      string
}

// newScene starts a daemon; DIR in its doors is a directory of the test's.
func newScene(t *testing.T, doors string) *scene {
	t.Helper()
	s := &scene{t: t, pair: netlabtest.NewPair(t), dir: t.TempDir()}
	text := "[options]\n\tInterface = eth0\n\tMax_Commands = " + strconv.Itoa(most) + "\n" + doors
	s.daemon = daemontest.Start(t, s.pair.Server, daemontest.Options{
		Config: strings.ReplaceAll(text, "DIR", s.dir), Args: []string{"-v"},
	})
	s.daemon.Wait("listening on eth0...")
	s.injector = netlabtest.NewInjector(t, s.pair.Client, netlab.Interface, s.pair.ServerMAC)
	return s
}

// source is the nth address that knocks.
func source(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)})
}

// hit sends one packet, which is a whole knock at a door of one port.
func (s *scene) hit(from netip.Addr, port uint16) {
	s.t.Helper()
	netlabtest.Check(s.t, s.injector.SendIP(packettest.Build(packet.Packet{
		Src: from, Dst: s.pair.Server4, SrcPort: 40000,
		Port: packet.Port{Proto: packet.TCP, Number: port}, Flags: packet.SYN,
	}, packettest.Options{})))
}

func (s *scene) path(name string) string { return filepath.Join(s.dir, name) }

// lines are those of a file that commands write to.
func (s *scene) lines(name string) []string {
	return strings.Fields(daemontest.Read(s.t, s.path(name)))
}

func (s *scene) status() control.Status {
	s.t.Helper()
	var status control.Status
	text := netlabtest.Run(s.t, s.pair.Server, "knockd", "status", "--json", "-c", s.daemon.Config)
	netlabtest.Check(s.t, json.Unmarshal([]byte(text), &status))
	return status
}

// processes are those in the server's namespace but for the daemon: whatever its commands left.
func (s *scene) processes() []int {
	home, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(s.pair.Server.Fd()))
	netlabtest.Check(s.t, err)
	entries, err := os.ReadDir("/proc")
	netlabtest.Check(s.t, err)
	var list []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == s.daemon.Pid() {
			continue
		}
		if ns, err := os.Readlink("/proc/" + e.Name() + "/ns/net"); err == nil && ns == home {
			list = append(list, pid)
		}
	}
	return list
}

// children counts the daemon's own, zombies too, which have no namespace to be found by.
func (s *scene) children() int {
	tasks, err := filepath.Glob("/proc/" + strconv.Itoa(s.daemon.Pid()) + "/task/*/children")
	netlabtest.Check(s.t, err)
	n := 0
	for _, path := range tasks {
		n += len(strings.Fields(daemontest.Read(s.t, path)))
	}
	return n
}

// end kills what commands left behind: who wrote its number and is in the namespace still.
func (s *scene) end() {
	s.t.Helper()
	here := s.processes()
	for _, text := range s.lines("pids") {
		pid, err := strconv.Atoi(text)
		netlabtest.Check(s.t, err)
		if !slices.Contains(here, pid) {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			s.t.Errorf("killing %d: %v", pid, err)
		}
	}
}

// held is what the daemon holds.
type held struct{ descriptors, resident int }

func (s *scene) held() held {
	pid := s.daemon.Pid()
	return held{daemontest.Descriptors(s.t, pid), daemontest.Resident(s.t, pid)}
}

// idle is what the daemon holds while it runs no command.
func (s *scene) idle() held {
	s.t.Helper()
	daemontest.Eventually(s.t, "no command runs", func() bool { return s.children() == 0 })
	return s.held()
}

// nothingLeft waits until no process is left and the daemon holds what it held before, but for slack bytes of memory.
func (s *scene) nothingLeft(before held, slack int) {
	s.t.Helper()
	daemontest.Eventually(s.t, "no process is left", func() bool { return len(s.processes())+s.children() == 0 })
	daemontest.Eventually(s.t, "descriptors as before", func() bool { return s.held().descriptors <= before.descriptors })
	now := s.held()
	s.t.Logf("before %+v, after %+v", before, now)
	if now.resident > before.resident+slack {
		s.t.Errorf("resident memory grew from %d to %d", before.resident, now.resident)
	}
}
