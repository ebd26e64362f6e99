package command

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The values of Job.Event.
const (
	EventStart = "start"
	EventStop  = "stop"
)

// Shell runs the command lines.
const Shell = "/bin/sh"

// OpeningEnv names the opening that a start command belongs to, so that a later daemon finds one that outlived us.
const OpeningEnv = "KNOCKD_OPENING"

// run runs a job and waits until its shell has returned. What the shell left in the background is not waited for.
func (r *Runner) run(j Job) Outcome {
	began := time.Now()
	status, output, err := r.shell(j)
	return Outcome{Job: j, Status: status, Output: output, Err: err, Took: time.Since(began)}
}

func (r *Runner) shell(j Job) (status int, output string, err error) {
	read, write, err := os.Pipe()
	if err != nil {
		return -1, "", fmt.Errorf("making a pipe: %w", err)
	}
	cmd := exec.Command(Shell, "-c", j.Line)
	cmd.Env = environment(j)
	cmd.Stdout, cmd.Stderr = write, write
	// Its own session: it outlives us, and no terminal of ours is its.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = r.orphans.start(cmd)
	_ = write.Close()
	if err != nil {
		_ = read.Close()
		return -1, "", fmt.Errorf("starting %s: %w", Shell, err)
	}
	p := r.pipes.drain(read)
	err = r.orphans.wait(cmd)
	// What the shell itself wrote is read by then, or soon; a process in the background may hold the pipe open for ever.
	p.end(drainTime)
	<-p.ended
	return statusOf(cmd.ProcessState, err), p.kept.String(), nil
}

// drainTime is for what the shell wrote right before it returned.
const drainTime = 50 * time.Millisecond

// environment is ours and what the command is told; the address as %IP% has it. What systemd tells its service
// (sd_notify(3), sd_watchdog_enabled(3)) is for the daemon alone.
func environment(j Job) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "NOTIFY_SOCKET=") || strings.HasPrefix(v, "WATCHDOG_")
	})
	env = append(env,
		"KNOCKD_DOOR="+j.Key.Door, "KNOCKD_IP="+text(j.Key.Source), "KNOCKD_EVENT="+j.Event)
	if j.Token != 0 {
		env = append(env, OpeningEnv+"="+strconv.FormatUint(j.Token, 10))
	}
	return env
}

// statusOf is the exit status as a shell tells it: 128 and the signal's number for a command that was killed.
func statusOf(state *os.ProcessState, err error) int {
	if state == nil {
		return -1
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return -1
	}
	return state.ExitCode()
}
