// Package daemontest runs whole daemons, ours and the reference, as processes in network namespaces, for tests.
//
// What a daemon should do belongs to the tests; here is how one is started, heard and ended.
package daemontest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"knockd/internal/cli"
	"knockd/internal/client"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

// Reference is the packaged knockd 0.8.
const Reference = "/usr/sbin/knockd"

// Patience is how long anything may take on a busy machine before a test gives up.
const Patience = 30 * time.Second

// Main runs a package's tests in private namespaces, with our knockd and knock as the first of their names in PATH.
func Main(m *testing.M) {
	testscript.Main(netlabtest.Tests{M: m}, map[string]func(){
		"knockd": func() { os.Exit(cli.Main(cli.OS())) },
		"knock": func() {
			os.Exit(client.Main(context.Background(), os.Args[1:], os.Getenv("KNOCK_HOST"), os.Stdout, os.Stderr))
		},
	})
}

// Daemon is a running daemon, and what it printed.
type Daemon struct {
	t    testing.TB
	cmd  *netlab.Cmd
	out  *output
	done chan struct{}
	err  error
	// Config is the path of its configuration.
	Config string
}

// Options say how to start a daemon.
type Options struct {
	// Program is ours if empty.
	Program string
	// Config is the text of the configuration. Our daemon gets a control socket and a state directory of its own
	// unless the text names them.
	Config string
	// Dir is where the configuration is written; empty: a directory of the test's.
	Dir string
	// Command, if not nil, is the whole command line of Program, and no configuration is written.
	Command []string
	// Args come after -c FILE.
	Args []string
	// Env is added to the environment.
	Env []string
}

// Start starts a daemon in a namespace. It ends with the test.
func Start(t testing.TB, n *netlab.Namespace, o Options) *Daemon {
	t.Helper()
	d := prepare(t, n, o)
	netlabtest.Check(t, d.cmd.Start())
	go func() {
		d.err = d.cmd.Wait()
		d.out.close()
		close(d.done)
	}()
	t.Cleanup(func() {
		d.Kill()
		if t.Failed() {
			t.Logf("%s printed:\n%s", filepath.Base(d.cmd.Path), lastLines(d.Output(), 60))
		}
	})
	return d
}

func prepare(t testing.TB, n *netlab.Namespace, o Options) *Daemon {
	t.Helper()
	program := o.Program
	if program == "" {
		found, err := exec.LookPath("knockd")
		netlabtest.Check(t, err)
		program = found
	}
	dir := o.Dir
	if dir == "" {
		dir = t.TempDir()
	}
	d := &Daemon{t: t, out: newOutput(), done: make(chan struct{}), Config: filepath.Join(dir, "knockd.conf")}
	text := o.Config
	if program != Reference {
		text = Isolate(text, dir)
	}
	args := o.Command
	if args == nil {
		netlabtest.Check(t, os.WriteFile(d.Config, []byte(text), 0o600))
		args = append([]string{"-c", d.Config}, o.Args...)
	}
	// The context is not the test's: what ends a daemon is the test's cleanup.
	d.cmd = n.Command(context.Background(), program, args...)
	d.cmd.Env = append(os.Environ(), o.Env...)
	d.cmd.Stdout, d.cmd.Stderr = d.out, d.out
	return d
}

// Isolate gives a configuration a control socket and a state directory below dir, unless it names them.
func Isolate(text, dir string) string {
	more := ""
	lower := strings.ToLower(text)
	if !strings.Contains(lower, "control") {
		more += "\tControl = " + filepath.Join(dir, "run", "control.sock") + "\n"
	}
	if !strings.Contains(lower, "\tstate") && !strings.Contains(lower, "\nstate") {
		more += "\tState = " + filepath.Join(dir, "state") + "\n"
	}
	if more == "" {
		return text
	}
	return text + "\n[options]\n" + more
}

// Rewrite replaces the configuration, as an editor would: whole.
func (d *Daemon) Rewrite(text string) {
	d.t.Helper()
	netlabtest.Check(d.t, os.WriteFile(d.Config, []byte(Isolate(text, filepath.Dir(d.Config))), 0o600))
}

// Pid is the process's number.
func (d *Daemon) Pid() int { return d.cmd.Process.Pid }

// Output is everything printed so far.
func (d *Daemon) Output() string { return d.out.String() }

// Signal sends a signal.
func (d *Daemon) Signal(s syscall.Signal) {
	d.t.Helper()
	netlabtest.Check(d.t, d.cmd.Process.Signal(s))
}

// Kill ends the daemon as a crash would, and waits.
func (d *Daemon) Kill() {
	if err := d.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		d.t.Errorf("killing the daemon: %v", err)
	}
	<-d.done
}

// Stop ends the daemon as systemd would, and returns its exit status.
func (d *Daemon) Stop() int {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		d.t.Fatalf("stopping the daemon: %v", err)
	}
	return d.Exit()
}

// Exit waits for the daemon's end and returns its exit status.
func (d *Daemon) Exit() int {
	d.t.Helper()
	select {
	case <-d.done:
		return d.cmd.ProcessState.ExitCode()
	case <-time.After(Patience):
		d.t.Fatalf("the daemon does not end")
		return -1
	}
}

// Wait waits until a line that contains text has been printed.
func (d *Daemon) Wait(text string) { d.t.Helper(); d.WaitCount(text, 1) }

// WaitCount waits until text has been printed n times.
func (d *Daemon) WaitCount(text string, n int) {
	d.t.Helper()
	if !d.out.wait(text, n) {
		d.t.Fatalf("the daemon did not say %q %d times", text, n)
	}
}

// Count is how often text has been printed.
func (d *Daemon) Count(text string) int { return strings.Count(d.Output(), text) }

// output collects what a process prints, and wakes who waits for it.
type output struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{}
	closed  bool
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

// Write takes a piece of output.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(p)
	close(o.changed)
	o.changed = make(chan struct{})
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	close(o.changed)
	o.changed = make(chan struct{})
}

// wait reports whether text came n times before the process ended or patience did.
func (o *output) wait(text string, n int) bool {
	deadline := time.NewTimer(Patience)
	defer deadline.Stop()
	for {
		o.mu.Lock()
		found, closed, changed := strings.Count(o.buf.String(), text) >= n, o.closed, o.changed
		o.mu.Unlock()
		if found || closed {
			return found
		}
		select {
		case <-changed:
		case <-deadline.C:
			return false
		}
	}
}

// Running reports whether the process has not ended.
func (d *Daemon) Running() bool {
	select {
	case <-d.done:
		return false
	default:
		return true
	}
}

// lastLines is the end of a long output.
func lastLines(text string, n int) string {
	lines := strings.Split(text, "\n")
	if len(lines) > n {
		lines = append([]string{"..."}, lines[len(lines)-n:]...)
	}
	return strings.Join(lines, "\n")
}
