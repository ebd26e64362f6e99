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
	r.pace.poll(&fds)
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

// trouble reports what poll said of the socket.
func (r *reader) trouble() {
	if err := pendingError(r.fd); err != nil {
		r.out.failed(r.tap, fmt.Errorf("receiving: %w", err))
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

// poll waits for the two descriptors, of which the second is where packets come; in a flood it naps instead of waiting
// for these.
func (p *pace) poll(fds *[2]unix.PollFd) {
	var err error
	if p.flood {
		// Nobody waits for packets, so the kernel has nobody to wake for one.
		timeout := unix.NsecToTimespec(p.nap.Nanoseconds())
		_, err = unix.Ppoll(fds[:1], &timeout, nil)
	} else {
		_, err = unix.Ppoll(fds[:], nil, nil)
	}
	if err != nil && !errors.Is(err, unix.EINTR) {
		// ENOMEM is what is left of ppoll(2)'s errors. A poll that fails at once again must not burn the processor.
		time.Sleep(longestNap)
	}
}
