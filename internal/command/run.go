package command

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
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
func run(j Job) Outcome {
	began := time.Now()
	status, output, err := shell(j)
	return Outcome{Job: j, Status: status, Output: output, Err: err, Took: time.Since(began)}
}

func shell(j Job) (status int, output string, err error) {
	read, write, err := os.Pipe()
	if err != nil {
		return -1, "", fmt.Errorf("making a pipe: %w", err)
	}
	defer func() { _ = read.Close() }()
	cmd := exec.Command(Shell, "-c", j.Line)
	cmd.Env = environment(j)
	cmd.Stdout, cmd.Stderr = write, write
	// Its own session: it outlives us, and no terminal of ours is its.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = write.Close()
	if err != nil {
		return -1, "", fmt.Errorf("starting %s: %w", Shell, err)
	}
	kept := &tail{}
	drained := make(chan error, 1)
	go func() { drained <- kept.drain(read) }()
	err = cmd.Wait()
	// What the shell itself wrote is read by then, or soon; a process in the background may hold the pipe open for ever.
	_ = read.SetReadDeadline(time.Now().Add(drainTime))
	if errors.Is(<-drained, os.ErrDeadlineExceeded) {
		handOver(read)
	}
	return statusOf(cmd.ProcessState, err), kept.String(), nil
}

// drainTime is for what the shell wrote right before it returned.
const drainTime = 50 * time.Millisecond

// handOver leaves the reading of a pipe to a process that outlives us and ends with the last writer. Without it what a
// command left in the background (a game server) would die of SIGPIPE, now or when the daemon ends. The shell in between
// makes it nobody's child.
func handOver(read *os.File) {
	cmd := exec.Command(Shell, "-c", "cat <&3 >/dev/null 2>&1 3<&- &")
	cmd.ExtraFiles = []*os.File{read}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	_ = cmd.Run() // without a shell there was no command either
}

func environment(j Job) []string {
	env := append(os.Environ(),
		"KNOCKD_DOOR="+j.Key.Door, "KNOCKD_IP="+j.Key.Source.String(), "KNOCKD_EVENT="+j.Event)
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
	if state.ExitCode() < 0 && err != nil {
		return -1
	}
	return state.ExitCode()
}
