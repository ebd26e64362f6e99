package capture

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// wait returns once there is something to do, and reports whether that is more than to end.
func (r *reader) wait() bool {
	fds := [2]unix.PollFd{
		{Fd: int32(r.wakeFD), Events: unix.POLLIN},
		{Fd: int32(r.fd), Events: unix.POLLIN},
	}
	var err error
	if r.pace.flood {
		// Nobody waits at the socket, so the kernel has nobody to wake for a packet.
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
		var count [8]byte
		_, _ = unix.Read(r.wakeFD, count[:])
	}
	if fds[1].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 {
		r.trouble()
	}
	select {
	case <-r.stop:
		return false
	default:
		return true
	}
}

// trouble reads the socket's pending error, which clears it, and reports it.
func (r *reader) trouble() {
	number, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && number == 0 {
		return
	}
	if err == nil {
		err = unix.Errno(number)
	}
	r.out.failed(r.tap, fmt.Errorf("receiving: %w", err))
}
