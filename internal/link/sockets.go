package link

import (
	"errors"
	"fmt"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// parts are the parts of a snapshot.
type parts uint8

const (
	linkPart parts = 1 << iota
	addrPart
	routePart

	everything = linkPart | addrPart | routePart
)

// sockets are one for the kernel's notices and one for questions: on a single one, answers could get lost among
// notices.
type sockets struct {
	notices *netlink.Conn
	queries *netlink.Conn
}

// groups are the notices to be heard (RTMGRP_ constants of linux/rtnetlink.h).
const groups = unix.RTMGRP_LINK |
	unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR |
	unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE

// openSockets opens both in the network namespace of the calling thread. buffer is the size of the receive buffer for
// notices in bytes, 0 for the kernel's choice.
func openSockets(buffer int) (*sockets, error) {
	notices, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{Groups: groups})
	if err != nil {
		return nil, fmt.Errorf("opening an rtnetlink socket: %w", err)
	}
	if buffer > 0 {
		err = notices.SetReadBuffer(buffer)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("setting up an rtnetlink socket: %w", err), notices.Close())
	}
	queries, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening an rtnetlink socket: %w", err), notices.Close())
	}
	// Since Linux 4.20; it spares other tables' routes.
	_ = queries.SetOption(netlink.GetStrictCheck, true)
	return &sockets{notices, queries}, nil
}

func (s *sockets) close() { _ = errors.Join(s.notices.Close(), s.queries.Close()) }

// listen waits for a notice until the deadline, the zero Time for no end, and returns what it is about: nothing after
// the deadline, everything after notices were lost.
func (s *sockets) listen() (parts, error) {
	messages, err := s.notices.Receive()
	switch {
	case errors.Is(err, unix.ENOBUFS):
		return everything, nil
	case err != nil:
		return 0, fmt.Errorf("receiving rtnetlink notices: %w", err)
	}
	var what parts
	for _, m := range messages {
		what |= about(m)
	}
	return what, nil
}

// about tells which parts a notice concerns.
func about(m netlink.Message) parts {
	switch m.Header.Type {
	case unix.RTM_NEWLINK:
		// Routes are told as gone only one by one as an interface goes down, or for IPv4 not at all.
		return linkPart | routePart
	case unix.RTM_DELLINK:
		return everything
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		// With the address, IPv4 routes that it was the source of go without notice.
		return addrPart | routePart
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		if isDefault(m.Data) {
			return routePart
		}
	}
	return 0
}

// until sets when listen gives up; the zero Time: never.
func (s *sockets) until(deadline time.Time) error {
	if err := s.notices.SetReadDeadline(deadline); err != nil {
		return fmt.Errorf("setting a deadline: %w", err)
	}
	return nil
}
