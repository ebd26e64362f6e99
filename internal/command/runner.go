package command

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrQueueFull refuses a job while too many wait.
var ErrQueueFull = errors.New("too many commands wait for their turn")

// queueMost bounds the jobs that wait; a burst of 10,000 knocks at doors with stop commands fits twice.
const queueMost = 65536

// Runner runs jobs: those of one key one after another, at most so many at once in all.
type Runner struct {
	outcomes chan Outcome
	// wake tells deliver that there are outcomes to hand on.
	wake    chan struct{}
	orphans *orphans
	pipes   pipes

	mu sync.Mutex
	// max is how many commands run at once. Stop commands may run beside as many hung start commands again: what is to
	// be closed must not wait behind what hangs.
	max                   int
	running, runningStops int
	starts, stops         queue
	waiting               int
	busy                  map[Key]bool
	held                  map[Key][]Job
	ended                 []Outcome
	closed                bool
	children              sync.WaitGroup
}

// queue is jobs in the order they came.
type queue struct{ jobs []Job }

func (q *queue) push(j Job) { q.jobs = append(q.jobs, j) }

func (q *queue) pop() (Job, bool) {
	if len(q.jobs) == 0 {
		return Job{}, false
	}
	j := q.jobs[0]
	q.jobs[0] = Job{}
	if q.jobs = q.jobs[1:]; len(q.jobs) == 0 {
		q.jobs = nil // lets go of the array that a burst has grown
	}
	return j, true
}

// NewRunner returns a runner for at most max commands at once, and as many stop commands beside them.
func NewRunner(max int) *Runner {
	o := newOrphans()
	return &Runner{
		outcomes: make(chan Outcome), wake: make(chan struct{}, 1), max: max,
		orphans: o, pipes: pipes{orphans: o, open: map[*pipe]struct{}{}},
		busy: map[Key]bool{}, held: map[Key][]Job{},
	}
}

// Submit queues a job. It never blocks.
func (r *Runner) Submit(j Job) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.waiting+len(r.ended) >= queueMost {
		return ErrQueueFull
	}
	r.waiting++
	if r.busy[j.Key] {
		r.held[j.Key] = append(r.held[j.Key], j)
		return nil
	}
	r.busy[j.Key] = true
	r.enqueue(j)
	r.dispatch()
	return nil
}

func (r *Runner) enqueue(j Job) {
	if j.Event == EventStop {
		r.stops.push(j)
	} else {
		r.starts.push(j)
	}
}

// dispatch starts what may start. The caller holds mu.
func (r *Runner) dispatch() {
	for !r.closed && r.running < r.max {
		j, ok := r.stops.pop()
		if !ok {
			j, ok = r.starts.pop()
		}
		if !ok {
			return
		}
		r.running++
		r.start(j, false)
	}
	for !r.closed && r.runningStops < r.max {
		j, ok := r.stops.pop()
		if !ok {
			return
		}
		r.runningStops++
		r.start(j, true)
	}
}

func (r *Runner) start(j Job, reserved bool) {
	r.waiting--
	r.children.Go(func() { r.end(r.run(j), reserved) })
}

// end takes the outcome of a job, and lets the next one of its key go on.
func (r *Runner) end(out Outcome, reserved bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if reserved {
		r.runningStops--
	} else {
		r.running--
	}
	if next := r.held[out.Job.Key]; len(next) > 0 {
		r.enqueue(next[0])
		if r.held[out.Job.Key] = next[1:]; len(next) == 1 {
			delete(r.held, out.Job.Key)
		}
	} else {
		delete(r.busy, out.Job.Key)
	}
	r.ended = append(r.ended, out)
	select {
	case r.wake <- struct{}{}:
	default:
	}
	r.dispatch()
}

// SetMax changes how many commands run at once; what runs goes on.
func (r *Runner) SetMax(max int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.max = max
	r.dispatch()
}

// Running returns how many commands run, and how many wait.
func (r *Runner) Running() (running, waiting int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.running + r.runningStops, r.waiting
}

// Outcomes delivers how commands ended, in the order in which they did.
func (r *Runner) Outcomes() <-chan Outcome { return r.outcomes }

// letGoTime bounds how long Run hands over what running commands print.
const letGoTime = 2 * time.Second

// Run delivers outcomes until ctx ends. Then nothing more is started; commands that run are left alone, for they have
// sessions of their own and may be meant to outlive us, and their outcomes are nobody's.
func (r *Runner) Run(ctx context.Context) error {
	var reaping sync.WaitGroup
	defer reaping.Wait()
	reaping.Go(func() { r.orphans.reap(ctx) })
	for r.deliver(ctx) {
	}
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.pipes.letGo(letGoTime)
	return nil
}

// deliver hands on what has ended, or waits for it; false once ctx has ended.
func (r *Runner) deliver(ctx context.Context) bool {
	out, ok := r.next()
	if !ok {
		select {
		case <-ctx.Done():
			return false
		case <-r.wake:
			return true
		}
	}
	select {
	case <-ctx.Done():
		return false
	case r.outcomes <- out:
		return true
	}
}

func (r *Runner) next() (Outcome, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ended) == 0 {
		return Outcome{}, false
	}
	out := r.ended[0]
	if r.ended = r.ended[1:]; len(r.ended) == 0 {
		r.ended = nil
	}
	return out, true
}
