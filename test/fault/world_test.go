package fault

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/daemontest"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

// The times of the doors. What is open may be seen for slack longer: the machine is busy, and a daemon that was killed is
// started again first.
const (
	openFor = 3 * time.Second
	slack   = 3 * time.Second
)

// world is a daemon, its surroundings, and what should be.
type world struct {
	t       *testing.T
	r       *rand.Rand
	pair    *netlab.Pair
	program string
	dir     string
	daemon  *daemontest.Daemon
	// env is what the next daemon is started with.
	env []string

	// opened is, per source, when a knock at the door with commands may have opened it last.
	opened map[string]time.Time
	// granted is the same of the native door.
	granted map[string]time.Time
	// unused are the one-time sequences to come; used are those that were knocked.
	unused, used []string
	// clients are the sources that knock.
	clients []netip.Addr
	full    bool

	faults map[string]int
	knocks int
}

func newWorld(t *testing.T, program string, r *rand.Rand) *world {
	t.Helper()
	w := &world{
		t: t, r: r, pair: netlabtest.NewPair(t), program: program, dir: t.TempDir(),
		opened: map[string]time.Time{}, granted: map[string]time.Time{}, faults: map[string]int{},
	}
	for i := range 8 {
		ip := netip.AddrFrom4([4]byte{10, 0, 1, byte(i + 1)})
		netlabtest.Addr(t, w.pair.Client, netlab.Interface, ip.String()+"/16")
		w.clients = append(w.clients, ip)
	}
	for _, name := range []string{"open", "state", "run"} {
		netlabtest.Check(t, os.Mkdir(w.path(name), 0o755))
	}
	netlabtest.Check(t, os.Chmod(w.path("state"), 0o700))
	netlabtest.Check(t, unix.Mount("tmpfs", w.path("state"), "tmpfs", 0, "size=256k,mode=0700"))
	t.Cleanup(func() { netlabtest.Check(t, unix.Unmount(w.path("state"), unix.MNT_DETACH)) })
	w.drawSequences()
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// drawSequences writes more one-time sequences than will be used.
func (w *world) drawSequences() {
	var file strings.Builder
	for i := range 5000 {
		sequence := fmt.Sprintf("%d,%d", 20000+i, 30000+i)
		w.unused = append(w.unused, sequence)
		blank := " "
		if i%7 == 0 {
			blank = "" // one that is kept whole by a copy
		}
		file.WriteString(blank + sequence + "\n")
	}
	netlabtest.Check(w.t, os.WriteFile(w.path("once"), []byte(file.String()), 0o600))
}

// config has a door with commands, a native one and one of one-time sequences.
func (w *world) config() string {
	return strings.NewReplacer("DIR", w.dir, "FOR", strconv.Itoa(int(openFor.Seconds()))).Replace(`[options]
	Interface = eth0
	State = DIR/state
	Control = DIR/run/control.sock
	LogFile = DIR/log
	Unattended = 24h

[commands]
	Sequence = 1000,1002,1001
	Start_Command = touch DIR/open/%IP%
	Cmd_Timeout = FOR
	Stop_Command = rm -f DIR/open/%IP%

[native]
	Sequence = 2000,2002,2001
	Open = tcp/22
	Open_For = FOR
	Decoys = 64

[once]
	One_Time_Sequences = DIR/once
	Start_Command = echo opened >> DIR/onces
`)
}

// start starts the daemon and waits until it listens.
func (w *world) start() {
	w.t.Helper()
	netlabtest.Check(w.t, os.WriteFile(w.path("knockd.conf"), []byte(w.config()), 0o600))
	w.daemon = daemontest.Start(w.t, w.pair.Server, daemontest.Options{
		Program: w.program, Command: []string{"-v", "-c", w.path("knockd.conf")}, Env: w.env,
	})
	if w.env == nil {
		w.daemon.Wait("listening on eth0...")
	}
}

// count notes a fault that was survived.
func (w *world) count(name string) { w.faults[name]++ }

// knock knocks from a client. A knock that may have opened counts from its last packet on.
func (w *world) knock(from netip.Addr, ports ...string) {
	w.t.Helper()
	args := append([]string{"-d", "2", "--source", from.String(), w.pair.Server4.String()}, ports...)
	netlabtest.Run(w.t, w.pair.Client, "knock", args...)
	w.knocks++
}

func (w *world) client() netip.Addr { return w.clients[w.r.IntN(len(w.clients))] }

// knockCommands and knockNative knock at a door, and remember that it may be open.
func (w *world) knockCommands() string {
	from := w.client()
	w.knock(from, "1000", "1002", "1001")
	w.opened[from.String()] = time.Now()
	return from.String()
}

func (w *world) knockNative() string {
	from := w.client()
	w.knock(from, "2000", "2002", "2001")
	w.granted[from.String()] = time.Now()
	return from.String()
}

// knockOnce uses the next sequence, from one client: it is used from then on, whether or not the door opened.
func (w *world) knockOnce() {
	sequence := w.unused[0]
	w.unused, w.used = w.unused[1:], append(w.used, sequence)
	w.knock(w.clients[0], strings.Split(sequence, ",")...)
}

// right knocks at every door while nothing is wrong: each must open.
func (w *world) right() {
	w.t.Helper()
	says := func(text string, knock func()) {
		before := w.daemon.Count(text)
		knock()
		w.daemon.WaitCount(text, before+1)
	}
	says("commands: OPEN SESAME", func() { w.knockCommands() })
	says("native: tcp/22 open for", func() { w.knockNative() })
	w.syncOnce()
	if !w.full {
		says("once: OPEN SESAME", w.knockOnce)
	}
}

// syncOnce takes over from the file which sequences are used: a knock that the daemon did not live to see left its own
// unmarked.
func (w *world) syncOnce() {
	text := daemontest.Read(w.t, w.path("once"))
	for len(w.unused) > 0 && strings.Contains(text, "#"+w.unused[0]+"\n") {
		w.used, w.unused = append(w.used, w.unused[0]), w.unused[1:]
	}
	for len(w.used) > 0 {
		last := w.used[len(w.used)-1]
		if strings.Contains(text, "#"+last+"\n") {
			return
		}
		w.used, w.unused = w.used[:len(w.used)-1], append([]string{last}, w.unused...)
	}
}

// openFiles are the sources that the commands' record has as open.
func (w *world) openFiles() []string {
	entries, err := os.ReadDir(w.path("open"))
	netlabtest.Check(w.t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// elements are the sources in the native door's sets, as nft prints them.
func (w *world) elements() []string {
	text := netlabtest.Run(w.t, w.pair.Server, "nft", "list", "ruleset")
	var found []string
	for _, c := range w.clients {
		if strings.Contains(text, " "+c.String()+" timeout") || strings.Contains(text, " "+c.String()+" expires") {
			found = append(found, c.String())
		}
	}
	return found
}

// hidden reports whether the native port is hidden.
func (w *world) hidden() bool {
	return strings.Contains(netlabtest.Run(w.t, w.pair.Server, "nft", "list", "ruleset"), "table inet knockd")
}

// check holds what is open against what may be.
func (w *world) check() {
	w.t.Helper()
	late := func(since map[string]time.Time, source string) bool {
		at, ok := since[source]
		return !ok || time.Since(at) > openFor+slack
	}
	for _, source := range w.openFiles() {
		if late(w.opened, source) {
			w.t.Errorf("%s is open past its time (commands): knocked %v ago", source, time.Since(w.opened[source]))
		}
	}
	for _, source := range w.elements() {
		if late(w.granted, source) {
			w.t.Errorf("%s is open past its time (nft): knocked %v ago", source, time.Since(w.granted[source]))
		}
	}
	if !w.hidden() {
		w.t.Error("the native port is not hidden")
	}
	w.checkOnce()
}

// checkOnce holds the openings against the marks, and knocks with used sequences again.
func (w *world) checkOnce() {
	w.t.Helper()
	text := daemontest.Read(w.t, w.path("once"))
	marks := 0
	for line := range strings.Lines(text) {
		if line[0] == '#' {
			marks++
		}
		if sequence := strings.Trim(line, "# \n"); !strings.Contains(sequence, ",") {
			w.t.Errorf("a line of the sequences is damaged: %q", line)
		}
	}
	if opened := strings.Count(daemontest.Read(w.t, w.path("onces")), "opened"); opened > marks {
		w.t.Errorf("%d openings by %d used sequences", opened, marks)
	}
}

// replay knocks with sequences that are used: nothing may open.
func (w *world) replay() {
	w.t.Helper()
	w.syncOnce()
	if len(w.used) == 0 {
		return
	}
	before := w.daemon.Count("once: OPEN SESAME")
	for range 3 {
		sequence := w.used[w.r.IntN(len(w.used))]
		w.knock(w.clients[1], strings.Split(sequence, ",")...)
	}
	// A right knock behind them says that they have been seen.
	text := "commands: OPEN SESAME"
	seen := w.daemon.Count(text)
	w.knockCommands()
	w.daemon.WaitCount(text, seen+1)
	if w.daemon.Count("once: OPEN SESAME") != before {
		w.t.Error("a one-time sequence was accepted twice")
	}
}

// rest lets everything end, and looks whether all is closed.
func (w *world) rest() {
	w.t.Helper()
	w.freeDisk()
	daemontest.Eventually(w.t, "every door is closed", func() bool {
		return len(w.openFiles()) == 0 && len(w.elements()) == 0
	})
	w.replay()
	if status := w.daemon.Stop(); status != 0 {
		w.t.Errorf("status %d", status)
	}
}

func (w *world) report() {
	names := make([]string, 0, len(w.faults))
	for name := range w.faults {
		names = append(names, name)
	}
	slices.Sort(names)
	w.t.Logf("%d knocks; survived:", w.knocks)
	for _, name := range names {
		w.t.Logf("%6d  %s", w.faults[name], name)
	}
}
