package netlab

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace, held open by a file descriptor. It ends with Close, once no process, socket or
// mount uses it any more.
type Namespace struct {
	file  *os.File
	close sync.Once
}

// New makes an empty network namespace with loopback up. It needs CAP_SYS_ADMIN in the current user namespace; without
// it the error is an *Unsupported.
func New() (*Namespace, error) {
	n := &Namespace{}
	err := away(
		func() error { return unsupported("making a network namespace", unix.Unshare(unix.CLONE_NEWNET)) },
		func() error {
			if err := prepare(); err != nil {
				return err
			}
			file, err := os.Open(threadNetns)
			n.file = file
			return err
		})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// threadNetns is the network namespace of the thread that opens it, not of the process's first thread.
const threadNetns = "/proc/thread-self/ns/net"

// away runs fn between leave, which takes the thread to another network namespace, and a return to the one before. fn
// runs in the goroutine of the caller, so it may call t.Fatal; it must not start goroutines that rely on the
// namespace.
func away(leave, fn func() error) (err error) {
	runtime.LockOSThread()
	home, err := os.Open(threadNetns)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("opening the current network namespace: %w", err)
	}
	defer func() {
		back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET)
		if back == nil {
			runtime.UnlockOSThread()
		} else {
			// The thread stays locked: it ends with its goroutine, and nobody else gets it in the wrong namespace.
			back = fmt.Errorf("returning to the first network namespace: %w", back)
		}
		err = errors.Join(err, back, home.Close())
	}()
	if err := leave(); err != nil {
		return err
	}
	return fn()
}

// Do runs fn in the namespace, on the caller's goroutine and a thread that goes back afterwards. Sockets made and
// processes started in fn stay in the namespace; goroutines started in fn do not run in it.
func (n *Namespace) Do(fn func() error) error {
	return away(func() error {
		if err := unix.Setns(n.Fd(), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("entering a network namespace: %w", err)
		}
		return nil
	}, fn)
}

// Fd is the descriptor that holds the namespace, -1 after Close.
func (n *Namespace) Fd() int { return int(n.file.Fd()) }

// Close lets go of the namespace. More calls do nothing.
func (n *Namespace) Close() (err error) {
	n.close.Do(func() { err = n.file.Close() })
	return err
}
