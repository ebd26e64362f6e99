package journal

import (
	"sync"
	"time"
)

// queueMost bounds the intents that wait.
const queueMost = 65536

// request is a record on its way; done is told how that went.
type request struct {
	record record
	done   func(error)
	// refused is set for an intent that came while too many waited: it is answered in its turn, and not written.
	refused bool
}

// queue is what waits to be written.
type queue struct {
	// wake has something in it when something waits.
	wake chan struct{}

	mu      sync.Mutex
	waiting []request
	closed  bool
}

func newQueue() queue { return queue{wake: make(chan struct{}, 1)} }

// put never blocks, and never calls done: a caller that is the one to take the answer would wait for itself.
func (q *queue) put(r request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	// The others say how an intent went on. There are no more of them than of intents, and losing one would run a stop
	// command twice.
	r.refused = r.record.Kind == kindOpening && len(q.waiting) >= queueMost
	if r.refused {
		r.record = record{}
	}
	q.waiting = append(q.waiting, r)
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns what waits, to be committed together.
func (q *queue) take() []request {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting := q.waiting
	q.waiting = nil
	return waiting
}

// end takes what waits for the last time.
func (q *queue) end() []request {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	return q.take()
}

// Opening records that a door is about to be opened; done is called, on the journal's goroutine, once that is on disk, or
// with ErrUnwritable or ErrBusy. No method blocks.
func (j *Journal) Opening(e Entry, done func(error)) {
	j.put(record{Kind: kindOpening, Entry: &e}, done)
}

// Started records that the start command has returned, and when the door is to be closed, on CLOCK_BOOTTIME.
func (j *Journal) Started(id uint64, closes time.Duration) {
	j.put(record{Kind: kindStarted, ID: id, Closes: closes}, nil)
}

// Closed records that the stop command has returned.
func (j *Journal) Closed(id uint64) { j.put(record{Kind: kindClosed, ID: id}, nil) }

// Flush calls done, on the journal's goroutine, once everything recorded before it is on disk.
func (j *Journal) Flush(done func(error)) { j.put(record{Kind: kindNothing}, done) }

func (j *Journal) put(r record, done func(error)) {
	if done == nil {
		done = func(error) {}
	}
	j.queue.put(request{record: r, done: done})
}
