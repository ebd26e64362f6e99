package logs

import (
	"fmt"
	"sync"
	"time"
)

// entry is one line on its way, or the order to reopen.
type entry struct {
	text   string
	at     time.Time
	reopen bool
}

// target is where a sink's lines end.
type target interface {
	// write writes lines, and returns how many are written whole; an error is of the one behind them, which is lost.
	write(batch []entry) (int, error)
	// reopen begins anew, where that means something.
	reopen() error
	close()
}

// queued bounds the lines that wait for one sink.
const queued = 4096

// sink is one target with its queue. A target that fails or hangs loses lines, which are counted and said.
type sink struct {
	name   string
	target target
	// tell says elsewhere what is wrong with this sink.
	tell func(from *sink, text string)
	// wake has something in it when there is something to do.
	wake  chan struct{}
	ended chan struct{}
	// lost counts the lines that could not be written. It belongs to the sink's goroutine.
	lost uint64

	mu sync.Mutex
	// queue holds at most queued lines, and the orders among them.
	queue []entry
	lines int
	// left counts the lines that found the queue full, the last at leftAt.
	left    uint64
	leftAt  time.Time
	closing bool
}

func newSink(name string, t target, tell func(*sink, string)) *sink {
	s := &sink{name: clean(name), target: t, tell: tell, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go s.run()
	return s
}

// put queues an entry, or counts it as left out. An order is never lost. A nil sink takes nothing.
func (s *sink) put(e entry) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return
	case e.reopen:
		if n := len(s.queue); s.left == 0 && n > 0 && s.queue[n-1].reopen {
			return
		}
		s.sayLeft()
	case s.lines >= queued:
		s.left++
		s.leftAt = e.at
		return
	default:
		s.lines++
	}
	s.queue = append(s.queue, e)
	s.rouse()
}

// sayLeft puts the count of what was left out where it is missing. The caller holds mu.
func (s *sink) sayLeft() {
	if s.left == 0 {
		return
	}
	s.queue = append(s.queue, entry{text: fmt.Sprintf("%d lines left out: the %s is too slow", s.left, s.name), at: s.leftAt})
	s.left = 0
}

func (s *sink) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// end lets the sink write what is queued, and end. A nil sink has ended.
func (s *sink) end() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	s.rouse()
}

func (s *sink) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

func (s *sink) run() {
	defer close(s.ended)
	defer s.target.close()
	for {
		batch, more := s.take()
		for rest := batch; len(rest) > 0; {
			rest = rest[s.handle(rest):]
		}
		if len(batch) > 0 {
			continue
		}
		if !more {
			return
		}
		<-s.wake
	}
}

// take empties the queue; more is false once nothing will follow.
func (s *sink) take() (batch []entry, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sayLeft()
	batch = s.queue
	s.queue, s.lines = nil, 0
	return batch, !s.closing
}

// handle does what is first in the batch, and returns how many entries that were.
func (s *sink) handle(batch []entry) int {
	if batch[0].reopen {
		if err := s.target.reopen(); err != nil && s.lost == 0 {
			s.tell(s, fmt.Sprintf("the %s can't be opened anew: %v", s.name, err))
		}
		return 1
	}
	end := 1
	if s.lost == 0 { // else one is enough to try with
		for end < len(batch) && !batch[end].reopen {
			end++
		}
	}
	n, err := s.target.write(batch[:end])
	if n > 0 {
		s.works(batch[n-1].at)
	}
	if err != nil {
		s.failed(err)
		n++
	}
	return n
}

// failed counts a line that was lost, and says so of the first.
func (s *sink) failed(err error) {
	if s.lost == 0 {
		s.tell(s, fmt.Sprintf("the %s can't be written: %v", s.name, err))
	}
	s.lost++
}

// works says what was lost, once it is over; here too, for who reads here.
func (s *sink) works(at time.Time) {
	if s.lost == 0 {
		return
	}
	text := fmt.Sprintf("the %s can be written again, %d lines were lost", s.name, s.lost)
	s.lost = 0
	s.tell(s, text)
	_, _ = s.target.write([]entry{{text: text, at: at}})
}

// each writes lines one by one.
func each(batch []entry, write func(entry) error) (int, error) {
	for i, e := range batch {
		if err := write(e); err != nil {
			return i, err
		}
	}
	return len(batch), nil
}
