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

	"knockd/internal/boottime"
)

// eventReader is the goroutine that empties the ring.
type eventReader struct {
	out    outlet
	ring   *ringbuf.Reader
	member *member
	names  *atomic.Pointer[map[uint32]netip.Addr]
	// waiter watches the ring, and the sockets for errors.
	waiter *waiter
	stop   chan struct{}
	done   sync.WaitGroup

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
		out: out, names: names, stop: make(chan struct{}),
		sockets: map[uint32]*extendedSocket{}, byFD: map[int32]*extendedSocket{},
	}
	// Of 64-bit words, so that records in it are aligned.
	room := make([]uint64, (2*recordSize+7)/8)
	r.sample.RawSample = unsafe.Slice((*byte)(unsafe.Pointer(&room[0])), 8*len(room))
	var err error
	if r.waiter, err = newWaiter(ring.FD()); err != nil {
		return nil, err
	}
	if r.ring, err = ringbuf.NewReader(ring); err != nil {
		r.waiter.close()
		return nil, fmt.Errorf("mapping the ring: %w", err)
	}
	// It never waits: the waiter does.
	r.ring.SetDeadline(time.Unix(1, 0))
	return r, nil
}

func (r *eventReader) start() {
	r.member = r.out.barrier.join(r.waiter.wake)
	r.done.Go(r.run)
}

func (r *eventReader) close() {
	close(r.stop)
	r.waiter.wake()
	r.done.Wait()
	r.member.leave()
	_ = r.ring.Close()
	r.waiter.close()
}

// add has the packets of s delivered.
func (r *eventReader) add(s *extendedSocket) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sockets[s.tap.key()], r.byFD[int32(s.fd)] = s, s
	r.lastSocket = nil
	return r.waiter.watch(s.fd, 0)
}

// remove returns when nothing more of s will be delivered.
func (r *eventReader) remove(s *extendedSocket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sockets, s.tap.key())
	delete(r.byFD, int32(s.fd))
	r.lastSocket = nil
	r.waiter.unwatch(s.fd)
}

func (r *eventReader) run() {
	for r.wait() {
		token := r.member.token()
		r.drain()
		r.member.pass(token)
	}
}

// wait returns once there is something to do, and reports whether that is more than to end.
func (r *eventReader) wait() bool {
	for _, e := range r.waiter.wait(&r.pace) {
		r.trouble(e.Fd)
	}
	select {
	case <-r.stop:
		return false
	default:
		return true
	}
}

// trouble reports what is wrong with a socket, if the descriptor is one's.
func (r *eventReader) trouble(fd int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.byFD[fd]
	if !ok {
		return // the ring, the waker, or a socket that was closed meanwhile
	}
	if err := pendingError(s.fd); err != nil {
		r.out.failed(s.tap, fmt.Errorf("receiving: %w", err))
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
		// The loop runs first, and what it sets in motion.
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
