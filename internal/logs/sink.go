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
	tell  func(from *sink, text string)
	queue chan entry
	ended chan struct{}

	mu sync.Mutex
	// left counts the lines that found the queue full.
	left    uint64
	closing bool
}

func newSink(name string, t target, tell func(*sink, string)) *sink {
	s := &sink{name: name, target: t, tell: tell, queue: make(chan entry, queued), ended: make(chan struct{})}
	go s.run()
	return s
}

// put queues an entry, or counts it as lost.
func (s *sink) put(e entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return
	}
	if s.left > 0 && !e.reopen {
		// Two places: the count is said before the line that follows it.
		if len(s.queue) > queued-2 {
			s.left++
			return
		}
		s.queue <- entry{text: fmt.Sprintf("%d lines left out: the %s is too slow", s.left, s.name), at: e.at}
		s.left = 0
	}
	select {
	case s.queue <- e:
	default:
		s.left++
	}
}

// end lets the sink write what is queued, and end. A nil sink has ended.
func (s *sink) end() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing {
		s.closing = true
		close(s.queue)
	}
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
	var lost uint64
	for e := range s.queue {
		err := s.handle(e)
		switch {
		case err != nil:
			if lost == 0 {
				s.tell(s, fmt.Sprintf("the %s can't be written: %v", s.name, err))
			}
			lost++
		case lost > 0 && !e.reopen:
			s.tell(s, fmt.Sprintf("the %s can be written again, %d lines were lost", s.name, lost))
			lost = 0
		}
	}
}

func (s *sink) handle(e entry) error {
	if e.reopen {
		return s.target.reopen()
	}
	return s.target.write(e)
}
