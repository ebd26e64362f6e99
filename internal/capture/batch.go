package capture

import (
	"sync"

	"knockd/internal/packet"
)

// The bounds of what is between the kernel and the daemon's loop: beyond them packets wait in the sockets, and what
// does not fit there is dropped and counted by the kernel.
const (
	// batchPackets is the most packets of a batch.
	batchPackets = 512
	// batchesInFlight is the number of batches that there are: with a ring they hold 100 ms of a flood of 200,000 packets a
	// second, in which the loop may put another configuration in force.
	batchesInFlight = 32
)

// Batch is a handful of packets in the order of their arrival at one socket, or the mark of a Sync.
type Batch struct {
	Packets []packet.Packet
	// Synced, if not 0, is the token of a call of Sync: every packet that had arrived before that call was in this
	// or in an earlier batch.
	Synced uint64
}

// batches is the pool of batches and the queue of those that were filled. Whoever took one may always deliver it
// without waiting.
type batches struct {
	// free has a token for each of the unused, of which the last one used is the next: memory is taken as it is needed.
	free   chan struct{}
	mu     sync.Mutex
	unused []*Batch
	filled chan *Batch
	// marks has the one batch that carries marks, while it is not on its way.
	marks chan *Batch
}

func newBatches() *batches {
	b := &batches{
		free:   make(chan struct{}, batchesInFlight),
		filled: make(chan *Batch, batchesInFlight+1), // and the mark
		marks:  make(chan *Batch, 1),
	}
	b.marks <- &Batch{}
	for range batchesInFlight {
		// Its array is made when it is first taken, so that an idle daemon does not hold it.
		b.put(&Batch{})
	}
	return b
}

// take returns an empty batch with room for batchPackets packets. It waits for one; nil after stop is closed.
func (b *batches) take(stop <-chan struct{}) *Batch {
	select {
	case <-b.free:
		batch := b.pop()
		if batch.Packets == nil {
			batch.Packets = make([]packet.Packet, 0, batchPackets)
		}
		return batch
	case <-stop:
		return nil
	}
}

func (b *batches) pop() *Batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := len(b.unused) - 1
	batch := b.unused[last]
	b.unused = b.unused[:last]
	return batch
}

func (b *batches) put(batch *Batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unused = append(b.unused, batch)
	b.free <- struct{}{} // there is room for all
}

// deliver queues a batch that was taken; an empty one goes back to the pool.
func (b *batches) deliver(batch *Batch) {
	if len(batch.Packets) == 0 {
		b.put(batch)
		return
	}
	b.filled <- batch
}

// mark queues a mark behind what was delivered before. It waits for the mark before it to be released.
func (b *batches) mark(token func() uint64, stop <-chan struct{}) {
	select {
	case batch := <-b.marks:
		batch.Synced = token()
		b.filled <- batch
	case <-stop:
	}
}

// release takes back a batch that the daemon is done with.
func (b *batches) release(batch *Batch) {
	if batch.Synced != 0 {
		batch.Synced = 0
		b.marks <- batch
		return
	}
	batch.Packets = batch.Packets[:0]
	b.put(batch)
}
