package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// Probe tells whether this process may capture at all: nil, or an error that wraps ErrCapability and says what to do.
func Probe() error {
	fd, err := openPacket()
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// openPacket returns a non-blocking AF_PACKET socket that begins each packet at its IP header (SOCK_DGRAM). It has no
// protocol yet, so it receives nothing before bindPacket, and no packet can come in ahead of the filter.
func openPacket() (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, lacking("CAP_NET_RAW", fmt.Errorf("opening an AF_PACKET socket: %w", err))
	}
	// Since Linux 4.20; before it, whoever reads leaves out what is PACKET_OUTGOING.
	err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	if err != nil && !errors.Is(err, unix.ENOPROTOOPT) {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("leaving out outgoing packets: %w", err)
	}
	return fd, nil
}

// bindPacket begins the reception. It succeeds too on an interface that is down.
func bindPacket(fd int, t tap) error {
	to := &unix.SockaddrLinklayer{Protocol: networkOrder(t.protocol), Ifindex: t.index}
	if err := unix.Bind(fd, to); err != nil {
		return fmt.Errorf("binding to interface %d: %w", t.index, err)
	}
	return nil
}

// packetGone reports whether the interface that the socket was bound to was deleted: its index then reads -1
// (packet_notifier in net/packet/af_packet.c).
func packetGone(fd int) bool {
	at, err := unix.Getsockname(fd)
	if err != nil {
		return true
	}
	link, ok := at.(*unix.SockaddrLinklayer)
	return !ok || link.Ifindex < 0
}

// networkOrder turns a 16-bit number between host and network byte order.
func networkOrder(n uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], n)
	return binary.NativeEndian.Uint16(b[:])
}

// drops counts what the kernel dropped at a socket. Reading PACKET_STATISTICS clears it, so the sum is kept here.
type drops struct {
	mu  sync.Mutex
	fd  int
	sum uint64
}

// read returns the sum so far.
func (d *drops) read() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fd < 0 {
		return d.sum
	}
	if s, err := unix.GetsockoptTpacketStats(d.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		d.sum += uint64(s.Drops)
	}
	return d.sum
}

// close reads once more and leaves the descriptor alone from then on.
func (d *drops) close() {
	d.read()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fd = -1
}
