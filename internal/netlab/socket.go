package netlab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// ListenTCP listens in the namespace.
func (n *Namespace) ListenTCP(at netip.AddrPort) (*net.TCPListener, error) {
	var l *net.TCPListener
	err := n.Do(func() (err error) {
		l, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listening on %v: %w", at, err)
	}
	return l, nil
}

// ListenUDP opens a UDP socket in the namespace.
func (n *Namespace) ListenUDP(at netip.AddrPort) (*net.UDPConn, error) {
	var c *net.UDPConn
	err := n.Do(func() (err error) {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listening on %v: %w", at, err)
	}
	return c, nil
}

// DialTCP connects from the namespace; ctx bounds it. The error is the dialer's, so that ECONNREFUSED and a deadline
// can be told apart.
func (n *Namespace) DialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	var c net.Conn
	err := n.Do(func() (err error) {
		// A numeric address: no name is looked up, and the socket is made on this very thread.
		var d net.Dialer
		c, err = d.DialContext(ctx, "tcp", to.String())
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}
