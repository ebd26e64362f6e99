package demo

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"knockd/internal/netlab"
)

// daemon is a running knockd.
type daemon struct {
	cmd  *netlab.Cmd
	done chan struct{} // closed once it has ended
	err  error         // how it ended; read after done

	mu     sync.Mutex
	said   []string
	change chan struct{} // closed and made anew with each line
}

// startDaemon starts self in a namespace; each line that it says is handed to hear, too.
func startDaemon(ctx context.Context, n *netlab.Namespace, self string, args []string, hear func(string)) (*daemon, error) {
	d := &daemon{cmd: n.Command(ctx, self, args...), done: make(chan struct{}), change: make(chan struct{})}
	d.cmd.Args[0] = "knockd"
	// The environment of a service manager that started us is not the daemon's to use.
	d.cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	d.cmd.Cancel = func() error { return d.cmd.Process.Signal(syscall.SIGTERM) }
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out := &lines{each: func(line string) { d.hears(line); hear(line) }}
	d.cmd.Stdout, d.cmd.Stderr = out, out
	started := make(chan error)
	go d.run(started)
	if err := <-started; err != nil {
		return nil, err
	}
	return d, nil
}

// run stays on the thread that starts the process: Pdeathsig comes when that thread ends.
func (d *daemon) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(d.done)
	if d.err = d.cmd.Start(); d.err != nil {
		started <- fmt.Errorf("starting knockd: %w", d.err)
		return
	}
	started <- nil
	d.err = d.cmd.Wait()
}

func (d *daemon) hears(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.said = append(d.said, line)
	close(d.change)
	d.change = make(chan struct{})
}

// waitFor waits until the daemon has said a line, at most for patience.
func (d *daemon) waitFor(ctx context.Context, patience time.Duration, line string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		d.mu.Lock()
		found, change := slices.Contains(d.said, line), d.change
		d.mu.Unlock()
		if found {
			return nil
		}
		select {
		case <-change:
		case <-d.done:
			return fmt.Errorf("knockd ended (%v) and never said %q, but:\n%s", d.err, line, d.words())
		case <-ctx.Done():
			return fmt.Errorf("knockd does not say %q, but:\n%s", line, d.words())
		}
	}
}

// words are all that the daemon said.
func (d *daemon) words() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return "   " + strings.Join(d.said, "\n   ")
}

// stop ends the daemon as a service manager would, and returns an error if it did not end well or in time.
func (d *daemon) stop(patience time.Duration) error {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-d.done:
	case <-late.C:
		_ = d.cmd.Process.Kill()
		<-d.done
	}
	if d.err != nil {
		return fmt.Errorf("stopping knockd: %w; it said:\n%s", d.err, d.words())
	}
	return nil
}
