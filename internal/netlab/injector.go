package netlab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Injector sends raw Ethernet frames out of an interface.
type Injector struct {
	file   *os.File
	header [14]byte // destination, source; the type is set by each packet
}

// NewInjector opens an AF_PACKET socket on an interface of the namespace. Packets given to SendIP go to the
// link-layer address to, or are broadcast if it is nil.
func NewInjector(n *Namespace, name string, to net.HardwareAddr) (*Injector, error) {
	i := &Injector{}
	copy(i.header[:6], "\xff\xff\xff\xff\xff\xff")
	copy(i.header[:6], to)
	err := n.link(name, "opening a raw socket on", func(_ *netlink.Handle, l netlink.Link) error {
		copy(i.header[6:12], l.Attrs().HardwareAddr)
		// Protocol 0: this socket receives nothing. Blocking: a full device queue makes the sender wait.
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		i.file = os.NewFile(uintptr(fd), "packet:"+name)
		return unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: l.Attrs().Index})
	})
	if err != nil && i.file != nil {
		err = errors.Join(err, i.file.Close())
	}
	if err != nil {
		return nil, err
	}
	return i, nil
}

// Send sends a whole Ethernet frame, at least 14 bytes long.
func (i *Injector) Send(frame []byte) error {
	if _, err := unix.Write(int(i.file.Fd()), frame); err != nil {
		return fmt.Errorf("sending a frame of %d bytes: %w", len(frame), err)
	}
	return nil
}

// SendIP puts an Ethernet header before an IPv4 or IPv6 packet and sends it.
func (i *Injector) SendIP(packet []byte) error {
	kind := uint16(unix.ETH_P_IP)
	if len(packet) > 0 && packet[0]>>4 == 6 {
		kind = unix.ETH_P_IPV6
	}
	frame := make([]byte, 0, len(i.header)+len(packet))
	frame = append(frame, i.header[:12]...)
	frame = binary.BigEndian.AppendUint16(frame, kind)
	return i.Send(append(frame, packet...))
}

// Header is the destination and source of the frames that SendIP builds, for callers that build their own.
func (i *Injector) Header() []byte { return i.header[:12:12] }

// Close closes the socket.
func (i *Injector) Close() error { return i.file.Close() }
