package daemon

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"knockd/internal/daemontest"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

// detached is a directory with a configuration to be run with -d.
type detached struct {
	t         *testing.T
	ns        *netlab.Namespace
	dir, conf string
}

func newDetached(t *testing.T, ns *netlab.Namespace, text string) *detached {
	t.Helper()
	dir := t.TempDir()
	d := &detached{t: t, ns: ns, dir: dir, conf: filepath.Join(dir, "knockd.conf")}
	text = strings.ReplaceAll(text, "DIR", dir)
	netlabtest.Check(t, os.WriteFile(d.conf, []byte(daemontest.Isolate(text, dir)), 0o600))
	t.Cleanup(d.end)
	return d
}

func (d *detached) pidFile() string { return filepath.Join(d.dir, "pid") }

// start runs knockd -d, and returns its status and what it printed.
func (d *detached) start(args ...string) (int, string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), daemontest.Patience)
	defer cancel()
	program, err := exec.LookPath("knockd")
	netlabtest.Check(d.t, err)
	cmd := d.ns.Command(ctx, program, append([]string{"-d", "-c", d.conf, "-p", d.pidFile()}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		d.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func (d *detached) pid() int {
	pid, err := strconv.Atoi(strings.TrimSpace(daemontest.Read(d.t, d.pidFile())))
	if err != nil {
		return 0
	}
	return pid
}

// end stops what start left, by its number.
func (d *detached) end() {
	pid := d.pid()
	if pid == 0 || pid == os.Getpid() {
		return
	}
	if syscall.Kill(pid, syscall.SIGTERM) == nil {
		daemontest.Eventually(d.t, "the daemon ends", func() bool { return syscall.Kill(pid, 0) != nil })
	}
}

const oneDoor = "[options]\n\tInterface = eth0\n\tLogFile = DIR/log\n[one]\n\tsequence = 1000,3000,2000\n\tcommand = echo %IP% >> DIR/out\n"

func TestDetach(t *testing.T) {
	t.Parallel()
	p := netlabtest.NewPair(t)
	d := newDetached(t, p.Server, oneDoor)
	// A number that no process has, and one of a process that is no knockd.
	netlabtest.Check(t, os.WriteFile(d.pidFile(), []byte("4194304\n"), 0o644))
	if status, out := d.start(); status != 0 || out != "" {
		t.Fatalf("status %d: %s", status, out)
	}
	pid := d.pid()
	if pid == 0 || syscall.Kill(pid, 0) != nil {
		t.Fatalf("the pid file says %d", pid)
	}
	// It captures by the time that the command has returned.
	daemontest.Knock(t, p.Client, p.Server4, "1000", "3000", "2000")
	daemontest.Eventually(t, "the door opens", func() bool {
		return daemontest.Read(t, filepath.Join(d.dir, "out")) == "10.0.0.2\n"
	})
	if status, out := d.start(); status != 1 || !strings.Contains(out, "is a running knockd") {
		t.Errorf("a second one: status %d: %s", status, out)
	}
	if d.pid() != pid {
		t.Error("the second one took the pid file")
	}
	d.end()
	if _, err := os.Stat(d.pidFile()); !os.IsNotExist(err) {
		t.Errorf("the pid file is left: %v", err)
	}
	if log := daemontest.Read(t, filepath.Join(d.dir, "log")); !strings.HasSuffix(log, "] shutting down\n") {
		t.Errorf("the log ends with %q", log)
	}
}

func TestDetachWaitsForTheInterface(t *testing.T) {
	t.Parallel()
	p := netlabtest.NewPair(t)
	d := newDetached(t, p.Server, strings.Replace(oneDoor, "= eth0", "= eth9", 1))
	if status, out := d.start(); status != 0 {
		t.Fatalf("status %d: %s", status, out)
	}
	daemontest.Eventually(t, "the log says what is waited for", func() bool {
		return strings.Contains(daemontest.Read(t, filepath.Join(d.dir, "log")), "waiting for eth9 (present: lo, eth0)")
	})
}

func TestDetachThatFails(t *testing.T) {
	t.Parallel()
	p := netlabtest.NewPair(t)
	for name, test := range map[string]struct{ text, want string }{
		"a bad file":                 {"[one]\n\tsequence = 1,2\n\tnonsense = 3\n", "knockd.conf:3: unknown directive"},
		"a log that can't be opened": {"[options]\n\tLogFile = /proc/none/log\n[one]\n\tsequence = 1,2\n\tcommand = true\n", "log file"},
		"a state that can't be kept": {
			"[options]\n\tState = /proc/none\n[one]\n\tsequence = 1,3\n\tcommand = true\n\tstop_command = true\n", "/proc/none",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDetached(t, p.Server, test.text)
			if status, out := d.start("-i", "eth0"); status != 1 || !strings.Contains(out, test.want) {
				t.Errorf("status %d: %s", status, out)
			}
			if d.pid() != 0 {
				t.Error("a pid file is left")
			}
		})
	}
}
