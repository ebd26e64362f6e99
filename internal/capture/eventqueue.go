package capture

import (
	"errors"
	"maps"

	"golang.org/x/sys/unix"
)

// patience is how often in a row an interface may be absent before that is told: one that has just been deleted is
// often still wanted for a moment.
const patience = 3

// eventQueue holds the events that nobody has taken yet, and knows which errors were told.
type eventQueue struct {
	limit int
	queue []Event
	// told has the text of the last error by interface, absent the times in a row that it did not exist.
	told   map[string]string
	absent map[string]int
}

func newEventQueue(limit int) *eventQueue {
	return &eventQueue{limit: limit, told: map[string]string{}, absent: map[string]int{}}
}

// head returns the oldest event and where to send it; a nil channel if there is none.
func (q *eventQueue) head(out chan<- Event) (chan<- Event, Event) {
	if len(q.queue) == 0 {
		return nil, Event{}
	}
	return out, q.queue[0]
}

func (q *eventQueue) pop() { q.queue = q.queue[1:] }

// add queues an event, and drops the oldest for it if nobody takes them.
func (q *eventQueue) add(e Event) {
	if len(q.queue) >= q.limit {
		q.pop()
	}
	q.queue = append(q.queue, e)
}

// trouble queues an error unless it is what was last told of that interface.
func (q *eventQueue) trouble(name string, err error) {
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
		q.absent[name]++
		if q.absent[name] < patience {
			return
		}
	}
	if q.told[name] == err.Error() {
		return
	}
	q.told[name] = err.Error()
	q.add(Event{Kind: Failed, Interface: name, Err: err})
}

// worked forgets the errors of an interface.
func (q *eventQueue) worked(name string) {
	delete(q.told, name)
	delete(q.absent, name)
}

// forgetOthers forgets the errors of interfaces that are not wanted.
func (q *eventQueue) forgetOthers(wanted map[place]tap) {
	names := map[string]bool{"": true}
	for _, t := range wanted {
		names[t.name] = true
	}
	maps.DeleteFunc(q.told, func(name, _ string) bool { return !names[name] })
	maps.DeleteFunc(q.absent, func(name string, _ int) bool { return !names[name] })
}
