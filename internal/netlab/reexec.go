package netlab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Reexec runs this program once more, with args and os.Environ plus env, in namespaces of its own: network and mount,
// and a user namespace that maps the caller to root where the caller may not make the others. The child must call Enter
// before anything else. It dies with its parent; signals to the parent are passed on.
//
// It returns the child's exit code (128 + N if signal N killed it). The error is an *Unsupported if the system allows
// no such namespaces; what a system denies only later, Enter reports.
func Reexec(args, env []string) (int, error) {
	// Pdeathsig follows the thread that started the child, so that thread must live as long as the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	id, err := netnsID()
	if err != nil {
		return 1, &Unsupported{What: "reading the network namespace", Err: err}
	}
	env = append(append(os.Environ(), env...), outsideEnv+"="+id)
	for _, user := range userNamespaces() {
		cmd := exec.Command("/proc/self/exe", args...)
		cmd.Args[0] = os.Args[0]
		cmd.Env = env
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.SysProcAttr = isolation(user)
		if err = cmd.Start(); err == nil {
			return passSignals(cmd)
		}
	}
	return 1, unsupported("starting a process in namespaces of its own", err)
}

// outsideEnv carries the name of the network namespace that the child was started from, so that Enter can make sure
// that it is in another one before it changes anything.
const outsideEnv = "NETLAB_OUTSIDE"

// userNamespaces lists whether to make a user namespace, in the order to try: root needs none, except in a container
// that keeps CAP_SYS_ADMIN from it.
func userNamespaces() []bool {
	if os.Geteuid() == 0 {
		return []bool{false, true}
	}
	return []bool{true}
}

func isolation(user bool) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
	}
	if user {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

// passSignals waits for the child and hands it the signals that ask this process to end. SIGQUIT is among them: it is
// how go test asks for the goroutines of a test that takes too long.
func passSignals(cmd *exec.Cmd) (int, error) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGQUIT, unix.SIGHUP)
	stopped := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case s := <-signals:
				_ = cmd.Process.Signal(s)
			case <-stopped:
				return
			}
		}
	}()
	err := cmd.Wait()
	signal.Stop(signals)
	close(stopped)
	<-done
	return exitCode(err)
}

func exitCode(err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case !errors.As(err, &exit):
		return 1, fmt.Errorf("waiting for the process in namespaces of its own: %w", err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}
