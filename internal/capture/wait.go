package capture

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// waiter is where a reader sleeps until packets come or somebody wakes it. It sleeps in Go's own poller: what its packets
// set in motion then runs on the very thread that the kernel woke, where waking others takes longer than all the work.
type waiter struct {
	epoll *os.File
	conn  syscall.RawConn
	// fd is the epoll's, packets where packets come, waker an eventfd.
	fd, packets, waker int
	happened           []unix.EpollEvent
	room               [16]unix.EpollEvent
	// lookFunc is w.look; as a method value it would be allocated at each use.
	lookFunc func(uintptr) bool
}

// newWaiter waits for packets at a descriptor, which stays the caller's.
func newWaiter(packets int) (*waiter, error) {
	w := &waiter{packets: packets, waker: -1}
	w.lookFunc = w.look
	if err := w.open(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *waiter) open() (err error) {
	if w.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("making an epoll: %w", err)
	}
	err = unix.SetNonblock(w.fd, true) // what tells os.NewFile to have it watched
	w.epoll = os.NewFile(uintptr(w.fd), "epoll")
	if err != nil {
		return fmt.Errorf("making an epoll: %w", err)
	}
	if w.conn, err = w.epoll.SyscallConn(); err != nil {
		return fmt.Errorf("making an epoll: %w", err)
	}
	if err = w.epoll.SetReadDeadline(time.Time{}); err != nil { // it can't be watched
		return fmt.Errorf("watching an epoll: %w", err)
	}
	if w.waker, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return fmt.Errorf("making an eventfd: %w", err)
	}
	if err = w.watch(w.waker, unix.EPOLLIN); err != nil {
		return err
	}
	return w.watch(w.packets, unix.EPOLLONESHOT)
}

// watch has wait return for the events of a descriptor; EPOLLERR comes unasked.
func (w *waiter) watch(fd int, events uint32) error {
	if err := w.control(unix.EPOLL_CTL_ADD, fd, events); err != nil {
		return fmt.Errorf("watching a descriptor: %w", err)
	}
	return nil
}

// unwatch ends it.
func (w *waiter) unwatch(fd int) { _ = w.control(unix.EPOLL_CTL_DEL, fd, 0) }

func (w *waiter) control(what, fd int, events uint32) error {
	return unix.EpollCtl(w.fd, what, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// wake has wait return soon. It never blocks.
func (w *waiter) wake() {
	// It fails only if it was written 255 times without being read: then it is awake.
	_, _ = unix.Write(w.waker, []byte{1, 0, 0, 0, 0, 0, 0, 1})
}

// wait returns once packets are there or something else happened, and returns what that was. In a flood it naps instead
// of waiting for packets: for one the kernel then looks at a disarmed entry, and wakes nobody.
func (w *waiter) wait(p *pace) []unix.EpollEvent {
	w.happened = nil
	var until time.Time
	if p.flood {
		until = time.Now().Add(nap)
	} else if err := w.control(unix.EPOLL_CTL_MOD, w.packets, unix.EPOLLIN|unix.EPOLLONESHOT); err != nil {
		until = time.Now().Add(nap)
	}
	_ = w.epoll.SetReadDeadline(until)
	if err := w.conn.Read(w.lookFunc); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		time.Sleep(nap) // one that fails at once again must not burn the processor
	}
	return w.happened
}

// look reports whether something happened.
func (w *waiter) look(uintptr) bool {
	n, err := unix.EpollWait(w.fd, w.room[:], 0)
	if err != nil {
		return false
	}
	w.happened = w.room[:n]
	for _, e := range w.happened {
		if int(e.Fd) == w.waker {
			var count [8]byte
			_, _ = unix.Read(w.waker, count[:])
		}
	}
	return n > 0
}

func (w *waiter) close() {
	// Nothing can be done about errors here, and none is possible with descriptors of our own.
	if w.epoll != nil {
		_ = w.epoll.Close()
	}
	if w.waker >= 0 {
		_ = unix.Close(w.waker)
	}
}

// pendingError returns a socket's pending error, if it has one, and clears it.
func pendingError(fd int) error {
	number, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && number != 0 {
		err = unix.Errno(number)
	}
	return err
}
