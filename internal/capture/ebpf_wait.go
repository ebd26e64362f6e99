package capture

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// wait returns once there is something to do, and reports whether that is more than to end.
func (r *eventReader) wait() bool {
	fds := [2]unix.PollFd{
		{Fd: int32(r.watchFD), Events: unix.POLLIN},
		{Fd: int32(r.ringFD), Events: unix.POLLIN},
	}
	r.pace.poll(&fds)
	if fds[0].Revents != 0 {
		r.watched()
	}
	select {
	case <-r.stop:
		return false
	default:
		return true
	}
}

// watched looks who called: a waker, or sockets in trouble.
func (r *eventReader) watched() {
	var events [16]unix.EpollEvent
	n, _ := unix.EpollWait(r.watchFD, events[:], 0)
	for _, e := range events[:max(n, 0)] {
		if int(e.Fd) == r.wakeFD {
			var count [8]byte
			_, _ = unix.Read(r.wakeFD, count[:])
			continue
		}
		r.trouble(e.Fd)
	}
}

// trouble reports what epoll said of a socket.
func (r *eventReader) trouble(fd int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.byFD[fd]
	if !ok {
		return // closed meanwhile
	}
	if err := pendingError(s.fd); err != nil {
		r.out.failed(s.tap, fmt.Errorf("receiving: %w", err))
	}
}
