package command

import (
	"errors"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// pipe is what a command prints, on its way to us.
type pipe struct {
	read *os.File
	kept tail
	// ended is closed once nothing more is read; kept is then final.
	ended chan struct{}
}

// end stops the reading after a while.
func (p *pipe) end(after time.Duration) { _ = p.read.SetReadDeadline(time.Now().Add(after)) }

// pipes are those that are read now.
type pipes struct {
	orphans *orphans

	mu     sync.Mutex
	open   map[*pipe]struct{}
	closed bool
}

// drain reads a pipe, on a goroutine of its own, until its last writer ends or end is called. Whoever still holds it
// then goes on writing: to nobody.
func (ps *pipes) drain(read *os.File) *pipe {
	p := &pipe{read: read, ended: make(chan struct{})}
	ps.mu.Lock()
	ps.open[p] = struct{}{}
	if ps.closed {
		p.end(0)
	}
	ps.mu.Unlock()
	go func() {
		defer close(p.ended)
		if err := p.kept.drain(read); errors.Is(err, os.ErrDeadlineExceeded) {
			ps.handOver(read)
		}
		_ = read.Close()
		ps.mu.Lock()
		delete(ps.open, p)
		ps.mu.Unlock()
	}()
	return p
}

// letGo hands over every pipe that is open, so that commands which outlive the daemon do not die of SIGPIPE, and waits a
// while for that.
func (ps *pipes) letGo(patience time.Duration) {
	ps.mu.Lock()
	ps.closed = true
	var open []*pipe
	for p := range ps.open {
		p.end(0)
		open = append(open, p)
	}
	ps.mu.Unlock()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for _, p := range open {
		select {
		case <-p.ended:
		case <-timeout.C:
			return
		}
	}
}

// handOver leaves the reading of a pipe to a process that outlives us and ends with the last writer. Without it what a
// command left in the background (a game server) would die of SIGPIPE, now or when the daemon ends. The shell in between
// makes it nobody's child.
func (ps *pipes) handOver(read *os.File) {
	cmd := exec.Command(Shell, "-c", "cat <&3 >/dev/null 2>&1 3<&- &")
	cmd.ExtraFiles = []*os.File{read}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := ps.orphans.start(cmd); err == nil { // without a shell there was no command either
		_ = ps.orphans.wait(cmd)
	}
}
