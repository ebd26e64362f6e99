package capture

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"knockd/internal/packet"
)

// reader is a socket of the classic backend and the goroutine that empties it.
type reader struct {
	tap    tap
	out    outlet
	fd     int
	waiter *waiter
	source source
	member *member
	pace   pace

	stop     chan struct{}
	done     sync.WaitGroup
	closed   func()
	received atomic.Uint64
	refused  [refusals]atomic.Uint64
	drops    drops

	// The rest is the goroutine's own.
	clock receiveClock
	batch *Batch
	// keepFunc is r.keep; as a method value it would be allocated at each use.
	keepFunc func(*frame)
}

func newReader(out outlet, t tap, fd int, src source) (*reader, error) {
	w, err := newWaiter(fd)
	if err != nil {
		return nil, err
	}
	r := &reader{
		tap: t, out: out, fd: fd, waiter: w, source: src,
		stop: make(chan struct{}), drops: drops{fd: fd},
	}
	r.keepFunc = r.keep
	return r, nil
}

// start begins to read; closed is called by close.
func (r *reader) start(closed func()) {
	r.closed = closed
	r.member = r.out.barrier.join(r.waiter.wake)
	r.done.Go(r.run)
}

func (r *reader) gone() bool { return packetGone(r.fd) }

func (r *reader) counters() Counters {
	c := Counters{Received: r.received.Load(), Dropped: r.drops.read()}
	for i := range r.refused {
		c.Refused[i] = r.refused[i].Load()
	}
	return c
}

func (r *reader) close() {
	close(r.stop)
	r.waiter.wake()
	r.done.Wait()
	r.member.leave()
	r.drops.close()
	// Nothing can be done about errors here, and none is possible with descriptors of our own.
	_ = r.source.close()
	r.waiter.close()
	_ = unix.Close(r.fd)
	r.closed()
}

func (r *reader) run() {
	for r.wait() {
		token := r.member.token()
		r.drain()
		r.member.pass(token)
	}
}

// wait returns once there is something to do, and reports whether that is more than to end.
func (r *reader) wait() bool {
	for _, e := range r.waiter.wait(&r.pace) {
		if int(e.Fd) == r.fd && e.Events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			r.trouble()
		}
	}
	select {
	case <-r.stop:
		return false
	default:
		return true
	}
}

// trouble reports what is wrong with the socket.
func (r *reader) trouble() {
	if err := pendingError(r.fd); err != nil {
		r.out.failed(r.tap, fmt.Errorf("receiving: %w", err))
	}
}

// drain delivers what was there when it was called. It ends under any flood: after as many packets as fit the buffer
// only newer ones follow.
func (r *reader) drain() {
	count := 0
	for more := true; more && count < r.source.capacity()+batchPackets; {
		if r.batch = r.out.batches.take(r.stop); r.batch == nil {
			return
		}
		r.clock.read()
		var n int
		n, more = r.fill()
		count += n
		r.received.Add(uint64(n))
		r.out.batches.deliver(r.batch)
		r.pace.saw(n, r.clock.now, r.source.capacity())
	}
	if count > 0 {
		// The loop runs first, and what it sets in motion.
		runtime.Gosched()
	}
}

// fill reads until the batch is full or nothing is left, and returns the packets read and whether there may be more.
func (r *reader) fill() (n int, more bool) {
	for len(r.batch.Packets) < batchPackets {
		if n >= 2*batchPackets {
			return n, true // nothing but refused ones: look at the clock
		}
		if !r.source.read(r.keepFunc) {
			return n, false
		}
		n++
	}
	return n, true
}

// keep decodes a frame into the batch.
func (r *reader) keep(f *frame) {
	used := len(r.batch.Packets)
	r.batch.Packets = r.batch.Packets[:used+1]
	p := &r.batch.Packets[used]
	*p = packet.Packet{}
	if why, ok := f.packet(p, &r.clock); !ok {
		r.batch.Packets = r.batch.Packets[:used]
		r.refused[why].Add(1)
	}
}
