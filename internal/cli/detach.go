package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/daemon"
)

// detachedEnv marks the process that -d leaves behind; its descriptor 3 is the pipe to the parent that waits.
const detachedEnv = "KNOCKD_DETACHED"

// trialEnv carries the length of a trial to the process that `knockd try` leaves behind.
const trialEnv = "KNOCKD_TRIAL"

// readyLine is what the detached process writes once it captures, or waits for its interface.
const readyLine = "ready\n"

// runDaemon runs the daemon here, or with -d in a process of its own.
func (p *Program) runDaemon(ctx context.Context, s daemon.Settings, detach bool) int {
	switch {
	case detach && p.Getenv(detachedEnv) == "":
		return p.runDetached()
	case detach:
		return p.detached(ctx, s)
	}
	if err := serve(ctx, s); err != nil {
		p.explain(err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, s daemon.Settings) error {
	d, err := daemon.New(s)
	if err != nil {
		return err
	}
	return d.Run(ctx)
}

// runDetached starts the same command line in a session of its own and waits until it is ready. Go can't fork, so the
// program starts itself anew.
func (p *Program) runDetached() int {
	// Relative paths keep their meaning: the child starts in the same directory.
	read, write, err := os.Pipe()
	if err != nil {
		p.explain(fmt.Errorf("starting in the background: %w", err))
		return 1
	}
	defer func() { _ = read.Close() }()
	self, err := os.Executable()
	if err != nil {
		p.explain(fmt.Errorf("starting in the background: %w", err))
		return 1
	}
	cmd := exec.Command(self, p.Args...)
	cmd.Env = append(os.Environ(), detachedEnv+"=1")
	if p.trial > 0 {
		cmd.Env = append(cmd.Env, trialEnv+"="+p.trial.String())
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{write}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = write.Close()
	if err != nil {
		p.explain(fmt.Errorf("starting in the background: %w", err))
		return 1
	}
	line, err := bufio.NewReader(read).ReadString('\n')
	if err == nil && line == readyLine {
		return 0
	}
	// It has said on stderr what is wrong.
	_ = cmd.Wait()
	return 1
}

// detached is the daemon behind -d. Once ready it lets go of the terminal.
func (p *Program) detached(ctx context.Context, s daemon.Settings) int {
	pipe := os.NewFile(3, "ready")
	unix.CloseOnExec(3)
	s.Detached = true
	s.Stderr = struct{ io.Writer }{s.Stderr} // no file: of one the log would keep a descriptor that letGo does not know
	if text := p.Getenv(trialEnv); text != "" {
		length, err := time.ParseDuration(text)
		if err != nil {
			p.explain(fmt.Errorf("reading %s: %w", trialEnv, err))
			return 1
		}
		s.Trial = length
	}
	_ = errors.Join(os.Unsetenv(detachedEnv), os.Unsetenv(trialEnv)) // not for the doors' commands
	s.Ready = func() {
		_ = letGo(s)
		_, _ = io.WriteString(pipe, readyLine)
		_ = pipe.Close()
	}
	if err := serve(ctx, s); err != nil {
		p.explain(err)
		return 1
	}
	return 0
}

// letGo points stdin, stdout and stderr at /dev/null; stdout stays where -v or -D writes to it.
func letGo(s daemon.Settings) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = null.Close() }()
	fd := int(null.Fd())
	errs := []error{unix.Dup3(fd, 0, 0), unix.Dup3(fd, 2, 0)}
	if !s.Verbose && !s.Debug {
		errs = append(errs, unix.Dup3(fd, 1, 0))
	}
	return errors.Join(errs...)
}
