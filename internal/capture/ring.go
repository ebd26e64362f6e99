package capture

import (
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The receive ring (packet_mmap, TPACKET_V2: unlike V3 it shows every packet at once).
const (
	// ringFrame holds 80 bytes of the kernel's and 176 of the packet: an IPv6 header, 116 bytes of extension headers
	// and a TCP header without options.
	ringFrame = 256
	ringBlock = 64 << 10
	// All of a ring is resident memory from the beginning. A full one of 1 MiB holds 10 ms of 400,000 packets a second:
	// a nap of the reader and a slow scheduler.
	ringMost  = 1 << 20
	ringLeast = 256 << 10
	// ringTotal bounds the rings of many interfaces together, as long as each has ringLeast.
	ringTotal = 4 << 20
)

// ringSize is how many bytes of ring the next socket gets where others are open: halves of ringMost, so that blocks and
// frames fit.
func ringSize(others int) int {
	size := ringMost
	for size > ringLeast && size*(others+1) > ringTotal {
		size /= 2
	}
	return size
}

// ring is a receive ring shared with the kernel.
type ring struct {
	memory []byte
	next   int
	frames int
	// frame is here because what is handed to a function value would be allocated for each packet.
	frame frame
}

// openRing gives the socket a ring of size bytes, one of ringSize's values, or of less where memory is short.
func openRing(fd, size int) (*ring, error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2); err != nil {
		return nil, fmt.Errorf("asking for TPACKET_V2: %w", err)
	}
	var err error
	for ; size >= ringLeast; size /= 2 {
		err = unix.SetsockoptTpacketReq(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &unix.TpacketReq{
			Block_size: ringBlock, Block_nr: uint32(size / ringBlock),
			Frame_size: ringFrame, Frame_nr: uint32(size / ringFrame),
		})
		if err == nil {
			return mapRing(fd, size)
		}
	}
	return nil, fmt.Errorf("making a receive ring: %w", err)
}

func mapRing(fd, size int) (*ring, error) {
	memory, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		// Without this the socket would fill a ring that nobody reads.
		_ = unix.SetsockoptTpacketReq(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &unix.TpacketReq{})
		return nil, fmt.Errorf("mapping the receive ring: %w", err)
	}
	return &ring{memory: memory, frames: size / ringFrame}, nil
}

func (r *ring) close() error { return unix.Munmap(r.memory) }

// capacity is the most packets that can wait.
func (r *ring) capacity() int { return r.frames }

// peek returns the status word and bytes of the frame that comes next.
func (r *ring) peek() (*uint32, []byte) {
	b := r.memory[r.next*ringFrame : (r.next+1)*ringFrame]
	return (*uint32)(unsafe.Pointer(&b[0])), b
}

// read calls fn with the next packet, if there is one. The frame is valid only during the call.
func (r *ring) read(fn func(*frame)) bool {
	status, b := r.peek()
	// The kernel writes the status last, and may reuse the frame once it is TP_STATUS_KERNEL again: both need the
	// order that atomics give.
	s := atomic.LoadUint32(status)
	if s&unix.TP_STATUS_USER == 0 {
		return false
	}
	r.frame = ringedFrame(s, b)
	fn(&r.frame)
	atomic.StoreUint32(status, unix.TP_STATUS_KERNEL)
	if r.next++; r.next == r.frames {
		r.next = 0
	}
	return true
}

// ringedFrame decodes a frame of the ring: struct tpacket2_hdr, struct sockaddr_ll, a gap, the packet.
func ringedFrame(status uint32, b []byte) frame {
	h := (*unix.Tpacket2Hdr)(unsafe.Pointer(&b[0]))
	a := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&b[unix.SizeofTpacket2Hdr]))
	start := min(int(h.Net), len(b))
	end := min(start+int(h.Snaplen), len(b))
	f := frame{
		data:     b[start:end],
		length:   int(h.Len),
		stamp:    time.Duration(h.Sec)*time.Second + time.Duration(h.Nsec),
		protocol: networkOrder(a.Protocol),
		kind:     a.Pkttype,
		hardware: a.Hatype,
		index:    int(a.Ifindex),
	}
	if status&unix.TP_STATUS_VLAN_VALID != 0 {
		f.vlan = vlanNumber(h.Vlan_tci)
	}
	return f
}

// vlanNumber takes the VLAN's number out of a tag (IEEE 802.1Q, 9.6).
func vlanNumber(tci uint16) uint16 { return tci & 0x0fff }
