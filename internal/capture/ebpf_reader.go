package capture

import (
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"knockd/internal/boottime"
)

// eventReader is the goroutine that empties the ring.
type eventReader struct {
	out    outlet
	ringFD int
	ring   *ringbuf.Reader
	member *member
	names  *atomic.Pointer[map[uint32]netip.Addr]
	// watchFD is an epoll of wakeFD and of errors of the sockets.
	watchFD, wakeFD int
	stop            chan struct{}
	done            sync.WaitGroup

	// mu guards what follows. It is held while a batch is filled and delivered, not while one is awaited.
	mu      sync.Mutex
	sockets map[uint32]*extendedSocket
	byFD    map[int32]*extendedSocket

	// The rest is the goroutine's own.
	pace   pace
	sample ringbuf.Record
	batch  *Batch
	// What the last record had: most have the same.
	lastIndex  uint32
	lastFamily uint8
	lastSocket *extendedSocket
	lastDst    uint32
	lastName   netip.Addr
}

func newEventReader(out outlet, ring *ebpf.Map, names *atomic.Pointer[map[uint32]netip.Addr]) (*eventReader, error) {
	r := &eventReader{
		out: out, ringFD: ring.FD(), names: names, stop: make(chan struct{}), watchFD: -1, wakeFD: -1,
		sockets: map[uint32]*extendedSocket{}, byFD: map[int32]*extendedSocket{},
	}
	// Of 64-bit words, so that records in it are aligned.
	room := make([]uint64, (2*recordSize+7)/8)
	r.sample.RawSample = unsafe.Slice((*byte)(unsafe.Pointer(&room[0])), 8*len(room))
	if err := r.open(ring); err != nil {
		r.closeFDs()
		return nil, err
	}
	return r, nil
}

func (r *eventReader) open(ring *ebpf.Map) (err error) {
	if r.wakeFD, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return fmt.Errorf("making an eventfd: %w", err)
	}
	if r.watchFD, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("making an epoll: %w", err)
	}
	if err = r.watch(r.wakeFD, unix.EPOLLIN); err != nil {
		return err
	}
	if r.ring, err = ringbuf.NewReader(ring); err != nil {
		return fmt.Errorf("mapping the ring: %w", err)
	}
	// It never waits: wait does.
	r.ring.SetDeadline(time.Unix(1, 0))
	return nil
}

func (r *eventReader) watch(fd int, events uint32) error {
	err := unix.EpollCtl(r.watchFD, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
	if err != nil {
		return fmt.Errorf("watching a descriptor: %w", err)
	}
	return nil
}

func (r *eventReader) start() {
	r.member = r.out.barrier.join(r.wake)
	r.done.Go(r.run)
}

func (r *eventReader) wake() {
	// It fails only if it was written 2^64-2 times without being read: then it is awake.
	_, _ = unix.Write(r.wakeFD, []byte{1, 0, 0, 0, 0, 0, 0, 1})
}

func (r *eventReader) close() {
	close(r.stop)
	r.wake()
	r.done.Wait()
	r.member.leave()
	_ = r.ring.Close()
	r.closeFDs()
}

func (r *eventReader) closeFDs() {
	for _, fd := range [...]int{r.watchFD, r.wakeFD} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// add has the packets of s delivered.
func (r *eventReader) add(s *extendedSocket) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sockets[s.tap.key()], r.byFD[int32(s.fd)] = s, s
	r.lastSocket = nil
	return r.watch(s.fd, 0) // EPOLLERR comes unasked
}

// remove returns when nothing more of s will be delivered.
func (r *eventReader) remove(s *extendedSocket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sockets, s.tap.key())
	delete(r.byFD, int32(s.fd))
	r.lastSocket = nil
	_ = unix.EpollCtl(r.watchFD, unix.EPOLL_CTL_DEL, s.fd, nil)
}

func (r *eventReader) run() {
	for r.wait() {
		token := r.member.token()
		r.drain()
		r.member.pass(token)
	}
}

// drain delivers what was there when it was called. It ends under any flood.
func (r *eventReader) drain() {
	most := r.ring.BufferSize()/(recordSize+8) + batchPackets
	count := 0
	for more := true; more && count < most; {
		if r.batch = r.out.batches.take(r.stop); r.batch == nil {
			return
		}
		var n int
		n, more = r.fill()
		count += n
		r.pace.saw(n, boottime.Now(), most)
	}
	if count > 0 {
		// The loop runs on this very thread before it sleeps in poll: waking another one would take longer.
		runtime.Gosched()
	}
}

// fill reads until the batch is full or nothing is left, delivers it, and returns the packets read and whether there may
// be more.
func (r *eventReader) fill() (n int, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.out.batches.deliver(r.batch)
	for len(r.batch.Packets)+2 <= batchPackets {
		if n >= 2*batchPackets {
			return n, true
		}
		if r.ring.AvailableBytes() == 0 || r.ring.ReadInto(&r.sample) != nil {
			return n, false
		}
		n += r.keepAll()
	}
	return n, true
}

// keepAll takes the records of a sample.
func (r *eventReader) keepAll() (n int) {
	for b := r.sample.RawSample; len(b) >= recordSize; b = b[recordSize:] {
		r.keep((*record)(unsafe.Pointer(&b[0])))
		n++
	}
	return n
}

// socketOf returns the socket that saw a packet, nil if it is closed.
func (r *eventReader) socketOf(k *record) *extendedSocket {
	if s, ok := r.sockets[k.ifindex]; ok {
		return s
	}
	return r.sockets[allInterfaces|uint32(k.family)]
}

// keep puts a packet into the batch.
func (r *eventReader) keep(k *record) {
	if r.lastSocket == nil || k.ifindex != r.lastIndex || k.family != r.lastFamily {
		r.lastIndex, r.lastFamily, r.lastSocket = k.ifindex, k.family, r.socketOf(k)
	}
	if r.lastSocket == nil {
		return // its socket is closed
	}
	r.lastSocket.received.Add(1)
	if k.dst != r.lastDst || !r.lastName.IsValid() {
		r.lastDst, r.lastName = k.dst, (*r.names.Load())[k.dst]
	}
	if !r.lastName.IsValid() {
		r.lastSocket.refused.Add(1)
		return
	}
	used := len(r.batch.Packets)
	r.batch.Packets = r.batch.Packets[:used+1]
	k.fill(&r.batch.Packets[used], r.lastName)
}
