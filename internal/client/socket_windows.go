package client

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/windows"
)

// hit sends one packet from a socket of its own, which never blocks and is closed at once.
func (k *Knock) hit(h Hit) error {
	if k.Interface != "" {
		return errors.New("this system cannot bind a socket to an interface; use --source")
	}
	// Winsock counts its users; the process's end is the last one's.
	var data windows.WSAData
	if err := windows.WSAStartup(0x202, &data); err != nil {
		return fmt.Errorf("starting Winsock: %w", err)
	}
	domain, kind := windows.AF_INET6, windows.SOCK_STREAM
	if k.To.Is4() {
		domain = windows.AF_INET
	}
	if h.UDP {
		kind = windows.SOCK_DGRAM
	}
	fd, err := windows.Socket(domain, kind, 0)
	if err != nil {
		return fmt.Errorf("opening a socket: %w", err)
	}
	defer func() { _ = windows.Closesocket(fd) }()
	if err := nonblocking(fd); err != nil {
		return fmt.Errorf("making a socket non-blocking: %w", err)
	}
	return k.send(fd, h)
}

func (k *Knock) send(fd windows.Handle, h Hit) error {
	if k.Source.IsValid() {
		from, err := sockaddr(k.Source, 0)
		if err != nil {
			return err
		}
		if err := windows.Bind(fd, from); err != nil {
			return fmt.Errorf("using source %s: %w", k.Source, err)
		}
	}
	to, err := sockaddr(k.To, h.Port)
	switch {
	case err != nil:
		return err
	case h.UDP:
		return windows.Sendto(fd, []byte{0}, 0, to)
	}
	err = windows.Connect(fd, to)
	if errors.Is(err, windows.WSAEWOULDBLOCK) || errors.Is(err, windows.WSAECONNREFUSED) {
		return nil
	}
	return err
}

// nonblocking does what ioctlsocket(FIONBIO) does.
func nonblocking(fd windows.Handle) error {
	const fionbio = 0x8004667e // winsock2.h
	on, returned := uint32(1), uint32(0)
	return windows.WSAIoctl(fd, fionbio, (*byte)(unsafe.Pointer(&on)), 4, nil, 0, &returned, nil, 0)
}

func sockaddr(a netip.Addr, port uint16) (windows.Sockaddr, error) {
	if a.Is4() {
		return &windows.SockaddrInet4{Addr: a.As4(), Port: int(port)}, nil
	}
	to := &windows.SockaddrInet6{Addr: a.As16(), Port: int(port)}
	if a.Zone() == "" {
		return to, nil
	}
	if n, err := strconv.ParseUint(a.Zone(), 10, 32); err == nil {
		to.ZoneId = uint32(n)
		return to, nil
	}
	i, err := net.InterfaceByName(a.Zone())
	if err != nil {
		return nil, fmt.Errorf("looking for interface %s: %w", a.Zone(), err)
	}
	to.ZoneId = uint32(i.Index)
	return to, nil
}
