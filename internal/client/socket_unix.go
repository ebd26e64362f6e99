//go:build unix

package client

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// hit sends one packet from a socket of its own, which never blocks and is closed at once, so that the kernel has
// nothing to send again.
func (k *Knock) hit(h Hit) error {
	domain, kind := unix.AF_INET6, unix.SOCK_STREAM
	if k.To.Is4() {
		domain = unix.AF_INET
	}
	if h.UDP {
		kind = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(domain, kind, 0)
	if err != nil {
		return fmt.Errorf("opening a socket: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.SetNonblock(fd, true); err != nil {
		return fmt.Errorf("making a socket non-blocking: %w", err)
	}
	if err := k.bind(fd); err != nil {
		return err
	}
	to, err := sockaddr(k.To, h.Port)
	switch {
	case err != nil:
		return err
	case h.UDP:
		return unix.Sendto(fd, []byte{0}, 0, to)
	}
	return connect(fd, to)
}

// connect sends a SYN. A listener on this machine may have taken the connection by now: then it is reset when the socket
// is closed, since a FIN would be sent again until it is acknowledged.
func connect(fd int, to unix.Sockaddr) error {
	reset := unix.Linger{Onoff: 1, Linger: 0}
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &reset); err != nil {
		return fmt.Errorf("setting SO_LINGER: %w", err)
	}
	err := unix.Connect(fd, to)
	// Refused: the SYN was sent, and answered at once.
	if errors.Is(err, unix.EINPROGRESS) || errors.Is(err, unix.ECONNREFUSED) {
		return nil
	}
	return err
}

// bind binds a socket to the interface and the source that the knock names.
func (k *Knock) bind(fd int) error {
	if k.Interface != "" {
		if err := bindToDevice(fd, k.Interface); err != nil {
			return fmt.Errorf("using interface %s: %w", k.Interface, err)
		}
	}
	if !k.Source.IsValid() {
		return nil
	}
	from, err := sockaddr(k.Source, 0)
	if err != nil {
		return err
	}
	if err := unix.Bind(fd, from); err != nil {
		return fmt.Errorf("using source %s: %w", k.Source, err)
	}
	return nil
}

func sockaddr(a netip.Addr, port uint16) (unix.Sockaddr, error) {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4(), Port: int(port)}, nil
	}
	zone, err := zoneID(a.Zone())
	if err != nil {
		return nil, err
	}
	return &unix.SockaddrInet6{Addr: a.As16(), Port: int(port), ZoneId: zone}, nil
}

// zoneID is the interface index of the zone of an address such as fe80::1%eth0; 0 for no zone.
func zoneID(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	i, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, fmt.Errorf("looking for interface %s: %w", zone, err)
	}
	return uint32(i.Index), nil
}
