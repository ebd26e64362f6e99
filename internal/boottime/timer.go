package boottime

import (
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// fdTimer is a timerfd on CLOCK_BOOTTIME (Linux 3.15), read through Go's poller: no thread waits for it. Unlike a
// time.Timer, which counts CLOCK_MONOTONIC, it has fired when the machine wakes after its deadline.
type fdTimer struct {
	file *os.File
	raw  func(func(fd uintptr)) error
	c    chan time.Duration
	done sync.WaitGroup
}

func newFdTimer() (*fdTimer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making a timer on CLOCK_BOOTTIME: %w", err)
	}
	t := &fdTimer{file: os.NewFile(uintptr(fd), "timerfd"), c: make(chan time.Duration, 1)}
	// SyscallConn, not Fd: in that mode the descriptor stays with the poller.
	conn, err := t.file.SyscallConn()
	if err != nil {
		_ = t.file.Close()
		return nil, fmt.Errorf("watching a timer: %w", err)
	}
	t.raw = conn.Control
	t.done.Go(t.run)
	return t, nil
}

// run passes expirations on until the file is closed.
func (t *fdTimer) run() {
	var expirations [8]byte
	for {
		if _, err := t.file.Read(expirations[:]); err != nil {
			return
		}
		select {
		case t.c <- Now():
		default:
		}
	}
}

func (t *fdTimer) Reset(deadline time.Duration) error {
	// Zero would disarm it (timerfd_settime(2)).
	return t.set(max(deadline, 1))
}

func (t *fdTimer) Stop() error { return t.set(0) }

func (t *fdTimer) set(deadline time.Duration) error {
	select {
	case <-t.c:
	default:
	}
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(deadline))}
	var err error
	closed := t.raw(func(fd uintptr) {
		err = unix.TimerfdSettime(int(fd), unix.TFD_TIMER_ABSTIME, &spec, nil)
	})
	if closed != nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("setting a timer: %w", err)
	}
	return nil
}

func (t *fdTimer) C() <-chan time.Duration { return t.c }

func (t *fdTimer) Close() error {
	err := t.file.Close()
	t.done.Wait()
	return err
}
