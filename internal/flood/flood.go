// Package flood sends packets with forged sources as fast as the kernel takes them, for benchmarks and tests. It sends only
// into a network that package netlab made: New takes nothing else.
package flood

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"knockd/internal/netlab"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// Kind is what a flood looks like.
type Kind int

// The kinds of floods. Every source is random.
const (
	// Once: every packet is from a new source, to the first port.
	Once Kind = iota
	// Twice: every source sends two packets to the first port.
	Twice
	// Ports: every packet is from a new source, to a random one of the ports.
	Ports
)

// String names the flood.
func (k Kind) String() string {
	return [...]string{"every packet from a new source", "each source twice", "to random ports of the doors"}[k]
}

// batch is how many packets one system call sends.
const batch = 64

// Flood is a sender in the client's namespace of a pair.
type Flood struct {
	fd     int
	kind   Kind
	ports  []uint16
	frames [batch][]byte
	msgs   [batch]mmsghdr
	iovs   [batch]unix.Iovec
	rand   *rand.Rand
	last   uint32
	// turn numbers the packets.
	turn uint64
	sent atomic.Uint64
}

// mmsghdr is struct mmsghdr of sendmmsg(2), which x/sys lacks.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

// New prepares SYNs to the ports of the server of a pair.
func New(p *netlab.Pair, kind Kind, ports []uint16) (*Flood, error) {
	f := &Flood{kind: kind, ports: ports, rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}
	err := p.Client.Do(func() (err error) {
		f.fd, err = open()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening a sender: %w", err)
	}
	frame := frameOf(p)
	for i := range f.frames {
		f.frames[i] = append([]byte(nil), frame...)
		f.iovs[i] = unix.Iovec{Base: &f.frames[i][0]}
		f.iovs[i].SetLen(len(frame))
		f.msgs[i].hdr.Iov = &f.iovs[i]
		f.msgs[i].hdr.SetIovlen(1)
	}
	return f, nil
}

func open() (int, error) {
	// A link's index is that of the client's own interface.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	index, err := interfaceIndex()
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: index})
	}
	// The queue of the interface is passed by: a flood is limited by the receiver alone.
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func interfaceIndex() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = unix.Close(fd) }()
	req, err := unix.NewIfreq(netlab.Interface)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req); err != nil {
		return 0, err
	}
	return int(req.Uint32()), nil
}

// frameOf is one SYN to the server, whose source, port and checksums are changed for each packet.
func frameOf(p *netlab.Pair) []byte {
	frame := append(append([]byte(nil), p.ServerMAC...), p.ClientMAC...)
	frame = append(frame, 8, 0)
	return append(frame, packettest.Build(packet.Packet{
		Src: netip.AddrFrom4([4]byte{11, 0, 0, 1}), Dst: p.Server4, SrcPort: 1024,
		Port: packet.Port{Proto: packet.TCP, Number: 1}, Flags: packet.SYN,
	}, packettest.Options{})...)
}

// Sent is how many packets were sent so far.
func (f *Flood) Sent() uint64 { return f.sent.Load() }

// Close frees the sender.
func (f *Flood) Close() error { return unix.Close(f.fd) }

// Run sends until ctx ends or most packets were sent (0: no bound), at rate packets a second (0: as fast as it goes), on one
// CPU.
func (f *Flood) Run(ctx context.Context, cpu int, rate, most uint64) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var old unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		return err
	}
	defer func() { _ = unix.SchedSetaffinity(0, &old) }()
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pinning the sender: %w", err)
	}
	began := time.Now()
	for ctx.Err() == nil && (most == 0 || f.Sent() < most) {
		for i := range f.frames {
			f.change(f.frames[i])
		}
		if err := f.send(); err != nil {
			return err
		}
		if rate > 0 {
			time.Sleep(time.Duration(f.Sent())*time.Second/time.Duration(rate) - time.Since(began))
		}
	}
	return nil
}

// change gives a frame another source and port. Its checksums follow (RFC 1624): the daemon does not look at them, but the
// server's own stack does, and answers, as it would outside.
func (f *Flood) change(frame []byte) {
	const ip, tcp = 14, 34
	source := f.last
	if f.kind != Twice || f.turn%2 == 0 {
		source = f.rand.Uint32()
	}
	f.last = source
	// 11.0.0.0/8 to 126.0.0.0/8: sources that can be real, and none of the laboratory's.
	source = (11+source>>24%115)<<24 | source&0xffffff
	port := f.ports[0]
	if f.kind == Ports {
		port = f.ports[f.rand.IntN(len(f.ports))]
	}
	replace32(frame[ip+12:], source, frame[ip+10:], frame[tcp+16:])
	replace16(frame[tcp:], uint16(1024+f.rand.IntN(60000)), frame[tcp+16:])
	replace16(frame[tcp+2:], port, frame[tcp+16:])
	f.turn++
}

// replace32 and replace16 change a field, and the checksums that cover it.
func replace32(field []byte, value uint32, sums ...[]byte) {
	replace16(field, uint16(value>>16), sums...)
	replace16(field[2:], uint16(value), sums...)
}

func replace16(field []byte, value uint16, sums ...[]byte) {
	old := binary.BigEndian.Uint16(field)
	binary.BigEndian.PutUint16(field, value)
	for _, sum := range sums {
		n := uint32(^binary.BigEndian.Uint16(sum)) + uint32(^old)&0xffff + uint32(value)
		n = n>>16 + n&0xffff
		n += n >> 16
		binary.BigEndian.PutUint16(sum, ^uint16(n))
	}
}

// send sends the batch; what a full device refuses is sent again.
func (f *Flood) send() error {
	for from := 0; from < batch; {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(f.fd), uintptr(unsafe.Pointer(&f.msgs[from])), uintptr(batch-from), 0, 0, 0)
		switch errno {
		case 0:
			from += int(n)
			f.sent.Add(uint64(n))
		case unix.ENOBUFS, unix.EAGAIN, unix.EINTR:
		default:
			return fmt.Errorf("sending: %w", errno)
		}
	}
	return nil
}
