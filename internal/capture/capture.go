// Package capture takes packets from the kernel and hands them to the daemon's loop in batches.
//
// What belongs here is contact with the kernel: AF_PACKET sockets, their filters and rings, and which of the backends
// is used. It observes only: nothing here can hold up or drop the host's own traffic. What a packet means belongs to
// package knock; what the filter lets through, to package filter; which interfaces there are, to package link.
//
// The way of a packet: a backend's goroutine decodes it into a batch from a bounded pool (batches), the loop takes the
// batch from Batches and gives it back with Release. When the loop is slow the pool runs empty, the backend stops
// reading, and the kernel drops what does not fit its buffers, and counts it.
package capture

import (
	"context"
	"sync"
	"sync/atomic"

	"knockd/internal/config"
)

// Options are what New wants.
type Options struct {
	// EventQueue is the most events kept for a slow reader of Events; the oldest are dropped. 0 means 256.
	EventQueue int
}

// Capture is the packets of the wanted interfaces. Its methods may be called from any goroutine.
type Capture struct {
	opts    Options
	batches *batches
	barrier *barrier
	events  chan Event

	// want is the newest Want; wake tells the manager that it changed.
	want atomic.Pointer[Want]
	wake chan struct{}

	totals totals
	// failures is what backends report of their sockets.
	failures *failures
	// mu guards live, which Stats reads while the manager writes.
	mu   sync.Mutex
	live view
}

// New returns a Capture that captures nothing before Set and Run.
func New(opts Options) *Capture {
	if opts.EventQueue == 0 {
		opts.EventQueue = 256
	}
	return &Capture{
		opts:     opts,
		batches:  newBatches(),
		barrier:  newBarrier(),
		events:   make(chan Event),
		wake:     make(chan struct{}, 1),
		failures: newFailures(),
	}
}

// Set says what to capture from now on. It never blocks; of several calls the newest counts. The caller leaves what
// w refers to as it is.
func (c *Capture) Set(w Want) {
	c.want.Store(&w)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Batches returns the queue of packets. Of one socket they come in the order of their arrival.
func (c *Capture) Batches() <-chan *Batch { return c.batches.filled }

// Release gives a batch back, a mark too; the caller does not touch it again. Without it capture stops after a few.
func (c *Capture) Release(b *Batch) { c.batches.release(b) }

// Sync asks for a mark: every packet that arrived before the call is delivered before the first batch whose Synced is
// token or higher. Tokens are above 0 and rise; a mark stands for every lower token, which then may get none of its own.
// It never blocks. The mark comes whether or not anything is captured, as long as Run runs.
func (c *Capture) Sync(token uint64) { c.barrier.ask(token) }

// Events returns what happened to the sockets, in order.
func (c *Capture) Events() <-chan Event { return c.events }

// Backend returns the backend in use, CaptureAuto before there is one.
func (c *Capture) Backend() config.Backend {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.live.backend
}

// Run captures until ctx is done. Sockets are opened on the goroutine that called it, so in its network namespace if
// its thread is locked to one. It returns nil once every goroutine and descriptor of capture is gone.
func (c *Capture) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() { c.deliverMarks(ctx) })
	m := newManager(c)
	defer m.close()
	m.run(ctx)
	return nil
}

// deliverMarks sends the mark of each settled Sync behind the packets that were delivered before it.
func (c *Capture) deliverMarks(ctx context.Context) {
	for {
		select {
		case <-c.barrier.mark:
		case <-ctx.Done():
			return
		}
		c.batches.mark(c.barrier.settled, ctx.Done())
	}
}
