package capture

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// queue is a socket's ordinary receive queue, for where there is no memory for a ring.
type queue struct {
	fd   int
	data [ringFrame]byte
	oob  [256]byte
}

// queueBytes is the wanted size of the receive buffer; the kernel gives at most net.core.rmem_max.
const queueBytes = 1 << 20

func openQueue(fd int) (*queue, error) {
	for _, o := range []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_RCVBUF, queueBytes},
		{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1},
		{unix.SOL_PACKET, unix.PACKET_AUXDATA, 1},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return nil, fmt.Errorf("setting up the receive queue: %w", err)
		}
	}
	return &queue{fd: fd}, nil
}

func (q *queue) close() error { return nil }

// capacity is about how many packets fit the buffer, some 700 bytes of the kernel's each.
func (q *queue) capacity() int { return queueBytes / 512 }

// read calls fn with the next packet, if there is one. The frame is valid only during the call.
func (q *queue) read(fn func(*frame)) bool {
	// With MSG_TRUNC the length is the packet's, not that of what was copied.
	n, oobn, _, from, err := unix.Recvmsg(q.fd, q.data[:], q.oob[:], unix.MSG_DONTWAIT|unix.MSG_TRUNC)
	if err != nil {
		return errors.Is(err, unix.EINTR)
	}
	a, ok := from.(*unix.SockaddrLinklayer)
	if !ok {
		return true
	}
	f := frame{
		data: q.data[:min(n, len(q.data))], length: n,
		protocol: networkOrder(a.Protocol), kind: a.Pkttype, hardware: a.Hatype, index: a.Ifindex,
	}
	f.control(q.oob[:oobn])
	fn(&f)
	return true
}

// control reads the ancillary data: when the packet came, and its VLAN tag.
func (f *frame) control(oob []byte) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS &&
			len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})):
			ts := (*unix.Timespec)(unsafe.Pointer(&m.Data[0]))
			f.stamp = time.Duration(ts.Nano())
		case m.Header.Level == unix.SOL_PACKET && m.Header.Type == unix.PACKET_AUXDATA &&
			len(m.Data) >= int(unsafe.Sizeof(unix.TpacketAuxdata{})):
			a := (*unix.TpacketAuxdata)(unsafe.Pointer(&m.Data[0]))
			if a.Status&unix.TP_STATUS_VLAN_VALID != 0 {
				f.vlan = vlanNumber(a.Vlan_tci)
			}
		}
	}
}
