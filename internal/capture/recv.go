package capture

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// queueBytes is the wanted size of the receive buffer; without CAP_NET_ADMIN the kernel gives at most
	// net.core.rmem_max.
	queueBytes = 1 << 20
	// queuedBytes is about what a small packet takes of it, with the kernel's own part.
	queuedBytes = 768
	// queueBatch is the most packets a call receives.
	queueBatch = 32
	// controlBytes hold a timespec and a struct tpacket_auxdata, each with its header.
	controlBytes = 128
)

// queue is a socket's ordinary receive queue, for where there is no memory for a ring.
type queue struct {
	fd int
	// packets is about how many fit the buffer.
	packets int
	// have packets were received, next is the first that was not read yet.
	have, next int

	messages [queueBatch]mmsghdr
	iovecs   [queueBatch]unix.Iovec
	names    [queueBatch]unix.RawSockaddrLinklayer
	data     [queueBatch][ringFrame]byte
	control  [queueBatch][controlBytes]byte
	// frame is here because what is handed to a function value would be allocated for each packet.
	frame frame
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
}

func openQueue(fd int) (*queue, error) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, queueBytes) != nil {
		// It never fails, but gives less (socket(7)).
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, queueBytes)
	}
	for _, o := range [][2]int{{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS}, {unix.SOL_PACKET, unix.PACKET_AUXDATA}} {
		if err := unix.SetsockoptInt(fd, o[0], o[1], 1); err != nil {
			return nil, fmt.Errorf("setting up the receive queue: %w", err)
		}
	}
	size, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		return nil, fmt.Errorf("setting up the receive queue: %w", err)
	}
	return &queue{fd: fd, packets: size / queuedBytes}, nil
}

func (q *queue) close() error { return nil }

func (q *queue) capacity() int { return q.packets }

// read calls fn with the next packet, if there is one. The frame is valid only during the call.
func (q *queue) read(fn func(*frame)) bool {
	if q.next == q.have && !q.receive() {
		return false
	}
	i := q.next
	q.next++
	m, from := &q.messages[i], &q.names[i]
	// With MSG_TRUNC the length is the packet's, not that of what was copied.
	q.frame = frame{
		data: q.data[i][:min(int(m.length), ringFrame)], length: int(m.length),
		protocol: networkOrder(from.Protocol), kind: from.Pkttype, hardware: from.Hatype, index: int(from.Ifindex),
	}
	q.frame.control(q.control[i][:min(int(m.header.Controllen), controlBytes)])
	fn(&q.frame)
	return true
}

// receive gets some more packets, if there are any.
func (q *queue) receive() bool {
	for i := range q.messages {
		q.iovecs[i].Base = &q.data[i][0]
		q.iovecs[i].SetLen(ringFrame)
		h := &q.messages[i].header
		*h = unix.Msghdr{
			Name: (*byte)(unsafe.Pointer(&q.names[i])), Namelen: unix.SizeofSockaddrLinklayer,
			Iov: &q.iovecs[i], Control: &q.control[i][0],
		}
		h.SetIovlen(1)
		h.SetControllen(controlBytes)
	}
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(q.fd), uintptr(unsafe.Pointer(&q.messages[0])),
		queueBatch, unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
	q.have, q.next = int(n), 0
	if errno != 0 {
		// EAGAIN: nothing is there. ENETDOWN, which is what else there is, the follower of the interfaces tells, too.
		q.have = 0
	}
	return q.have > 0
}

// control reads the ancillary data: when the packet came, and its VLAN tag.
func (f *frame) control(oob []byte) {
	for len(oob) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
		n := int(h.Len)
		if n < unix.SizeofCmsghdr || n > len(oob) {
			return
		}
		f.note(h, oob[unix.CmsgLen(0):n])
		oob = oob[min(unix.CmsgSpace(n-unix.CmsgLen(0)), len(oob)):]
	}
}

// note reads one message of the ancillary data.
func (f *frame) note(h *unix.Cmsghdr, data []byte) {
	switch {
	case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_TIMESTAMPNS && len(data) >= int(unsafe.Sizeof(unix.Timespec{})):
		f.stamp = time.Duration((*unix.Timespec)(unsafe.Pointer(&data[0])).Nano())
	case h.Level == unix.SOL_PACKET && h.Type == unix.PACKET_AUXDATA && len(data) >= int(unsafe.Sizeof(unix.TpacketAuxdata{})):
		if a := (*unix.TpacketAuxdata)(unsafe.Pointer(&data[0])); a.Status&unix.TP_STATUS_VLAN_VALID != 0 {
			f.vlan = vlanNumber(a.Vlan_tci)
		}
	}
}
