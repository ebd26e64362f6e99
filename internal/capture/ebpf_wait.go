package capture

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// wait returns once there is something to do, and reports whether that is more than to end.
func (r *eventReader) wait() bool {
	fds := [2]unix.PollFd{
		{Fd: int32(r.watchFD), Events: unix.POLLIN},
		{Fd: int32(r.ringFD), Events: unix.POLLIN},
	}
	var err error
	if r.pace.flood {
		// Nobody waits at the ring, so the kernel has nobody to wake for a packet.
		timeout := unix.NsecToTimespec(r.pace.nap.Nanoseconds())
		_, err = unix.Ppoll(fds[:1], &timeout, nil)
	} else {
		_, err = unix.Ppoll(fds[:], nil, nil)
	}
	if err != nil && !errors.Is(err, unix.EINTR) {
		// ENOMEM is what is left of ppoll(2)'s errors. A poll that fails at once again must not burn the processor.
		time.Sleep(longestNap)
	}
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

// trouble reads a socket's pending error, which clears it, and reports it.
func (r *eventReader) trouble(fd int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.byFD[fd]
	if !ok {
		return
	}
	number, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && number == 0 {
		return
	}
	if err == nil {
		err = unix.Errno(number)
	}
	r.out.failed(s.tap, fmt.Errorf("receiving: %w", err))
}
