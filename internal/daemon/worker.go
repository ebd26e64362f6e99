package daemon

import (
	"context"
)

// worker does what blocks (netlink, files, name look-ups), one task after another, and hands what follows back to the
// loop. The loop never waits for it.
type worker struct {
	tasks chan task
	done  chan<- func()
}

type task struct {
	run  func(ctx context.Context) error
	then func(error)
}

// workerQueue bounds the tasks that wait: a burst of 10,000 knocks fits.
const workerQueue = 16384

func newWorker(done chan<- func()) *worker {
	return &worker{tasks: make(chan task, workerQueue), done: done}
}

// submit queues run; then is called on the loop with its error. It reports false where the queue is full, and then
// neither is called.
func (w *worker) submit(run func(ctx context.Context) error, then func(error)) bool {
	select {
	case w.tasks <- task{run: run, then: then}:
		return true
	default:
		return false
	}
}

// Run works until ctx ends; what is queued then is dropped.
func (w *worker) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case t := <-w.tasks:
			err := t.run(ctx)
			if t.then == nil {
				continue
			}
			select {
			case w.done <- func() { t.then(err) }:
			case <-ctx.Done():
				return nil
			}
		}
	}
}
