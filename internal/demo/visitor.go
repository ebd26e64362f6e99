package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"knockd/internal/netlab"
)

// errSilence is for a connection that got no answer at all.
var errSilence = errors.New("no answer")

// visitor connects to the service from one address.
type visitor struct {
	from *netlab.Namespace
	addr netip.Addr
}

// connect waits at most for patience; the error is errSilence if nothing came back.
func (v visitor) connect(ctx context.Context, to netip.AddrPort, patience time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(v.addr, 0))}
	var c net.Conn
	err := v.from.Do(func() (err error) {
		// A numeric address: the socket is made on this very thread.
		c, err = d.DialContext(ctx, "tcp", to.String())
		return err
	})
	var slow net.Error
	if errors.As(err, &slow) && slow.Timeout() {
		return nil, errSilence
	}
	return c, err
}

// exchange says a line, or nothing if it is empty, and returns the line that comes back.
func exchange(c net.Conn, line string, patience time.Duration) (string, error) {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if line != "" {
		if _, err := fmt.Fprintln(c, line); err != nil {
			return "", err
		}
	}
	back, err := bufio.NewReaderSize(c, len(banner)+1).ReadString('\n')
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errSilence
	}
	return strings.TrimSuffix(back, "\n"), err
}
