package command

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"knockd/internal/processors"
)

// orphans waits, where we are process 1 (a container without an init), for the processes that commands left behind:
// they become our children, and would stay zombies for ever. Elsewhere it is nil and does nothing.
type orphans struct {
	mu sync.Mutex
	// own are the children that somebody waits for: they are not to be waited for here.
	own map[int]struct{}
}

func newOrphans() *orphans {
	if os.Getpid() != 1 {
		return nil
	}
	return &orphans{own: map[int]struct{}{}}
}

// start starts a command that wait is called for.
func (o *orphans) start(cmd *exec.Cmd) error {
	// Whoever starts a program holds a processor of Go's until it runs, on slow storage for long.
	defer processors.Compute()()
	if o == nil {
		return cmd.Start()
	}
	o.mu.Lock() // a child that ends at once is ours before anybody looks
	defer o.mu.Unlock()
	err := cmd.Start()
	if err == nil {
		o.own[cmd.Process.Pid] = struct{}{}
	}
	return err
}

func (o *orphans) wait(cmd *exec.Cmd) error {
	err := cmd.Wait()
	if o != nil {
		o.mu.Lock()
		delete(o.own, cmd.Process.Pid)
		o.mu.Unlock()
	}
	return err
}

// reapPause is between two looks: a burst of commands ends with as many signals.
const reapPause = time.Second

// reap works until ctx ends.
func (o *orphans) reap(ctx context.Context) {
	if o == nil {
		return
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	defer signal.Stop(ended)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ended:
		}
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		o.look()
		pause.Reset(reapPause)
	}
}

// look waits for every zombie of ours that nobody waits for. A directory of proc(5) tells who they are: waitid(2) would
// show one at a time, and the same one again.
func (o *orphans) look() {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, path := range paths {
		stat, ok := readStat(path)
		if !ok || stat.parent != os.Getpid() || stat.state != "Z" {
			continue
		}
		if _, waited := o.own[stat.pid]; !waited {
			_, _ = syscall.Wait4(stat.pid, nil, syscall.WNOHANG, nil)
		}
	}
}

// stat is what /proc/PID/stat says of a process (proc_pid_stat(5), fields 1, 3, 4 and 6).
type stat struct {
	pid, parent, session int
	state                string
}

func readStat(path string) (stat, bool) {
	line, err := os.ReadFile(path)
	if err != nil {
		return stat{}, false
	}
	// The second field, a name in parentheses, may hold anything.
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 1 || end < open {
		return stat{}, false
	}
	fields := bytes.Fields(line[end+1:])
	if len(fields) < 4 {
		return stat{}, false
	}
	var s stat
	s.state = string(fields[0])
	for _, f := range []struct {
		to   *int
		from []byte
	}{{&s.pid, line[:open-1]}, {&s.parent, fields[1]}, {&s.session, fields[3]}} {
		if *f.to, err = strconv.Atoi(string(f.from)); err != nil {
			return stat{}, false
		}
	}
	return s, true
}
