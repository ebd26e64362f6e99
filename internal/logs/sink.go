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
	// write writes one line; an error loses it.
	write(e entry) error
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
		for _, e := range batch {
			s.handle(e)
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

func (s *sink) handle(e entry) {
	if e.reopen {
		if err := s.target.reopen(); err != nil && s.lost == 0 {
			s.tell(s, fmt.Sprintf("the %s can't be opened anew: %v", s.name, err))
		}
		return
	}
	err := s.target.write(e)
	switch {
	case err != nil:
		if s.lost == 0 {
			s.tell(s, fmt.Sprintf("the %s can't be written: %v", s.name, err))
		}
		s.lost++
	case s.lost > 0:
		text := fmt.Sprintf("the %s can be written again, %d lines were lost", s.name, s.lost)
		s.lost = 0
		s.tell(s, text)
		_ = s.target.write(entry{text: text, at: e.at}) // who reads here, too, is to know that lines are missing
	}
}
