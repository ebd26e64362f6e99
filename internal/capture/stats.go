package capture

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"knockd/internal/config"
)

// Counters are a socket's, an interface's or everybody's.
type Counters struct {
	// Received counts the packets that the backend read, refused ones included.
	Received uint64
	// Dropped counts the packets that the filter let through and the kernel had no room for.
	Dropped uint64
	// Held counts the packets that the kernel held back, as strangers' in a flood; those delivered later count as
	// Received too.
	Held uint64
	// Refused counts the packets that were read and not delivered, by Refusal.
	Refused [refusals]uint64
}

// Add adds o to c.
func (c *Counters) Add(o Counters) {
	c.Received += o.Received
	c.Dropped += o.Dropped
	c.Held += o.Held
	for r := range o.Refused {
		c.Refused[r] += o.Refused[r]
	}
}

// RefusedTotal is the sum over the refusals.
func (c *Counters) RefusedTotal() uint64 {
	var n uint64
	for _, r := range c.Refused {
		n += r
	}
	return n
}

// InterfaceStats are the counters of one name since the start, over all sockets it had.
type InterfaceStats struct {
	Name string
	Counters
}

// Stats are the counters since the start.
type Stats struct {
	// Backend is the one in use, CaptureAuto before there is one.
	Backend config.Backend
	Counters
	// Interfaces are those ever captured from, by name.
	Interfaces []InterfaceStats
}

// maxNames bounds the names whose counters are kept after they are gone; a machine that makes and deletes interfaces
// without end (containers) must not fill memory. What is beyond still counts in the total.
const maxNames = 256

// totals are the counters of sockets that are closed.
type totals struct {
	mu     sync.Mutex
	all    Counters
	byName map[string]Counters
}

func (t *totals) add(name string, c Counters) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all.Add(c)
	sum, known := t.byName[name]
	if !known && len(t.byName) >= maxNames {
		return
	}
	if t.byName == nil {
		t.byName = map[string]Counters{}
	}
	sum.Add(c)
	t.byName[name] = sum
}

// view is what Stats sees of the manager.
type view struct {
	backend config.Backend
	sockets map[place]attachment
}

// attachment is an open socket and where it is.
type attachment struct {
	tap    tap
	socket socket
}

// Stats returns the counters as they are now.
func (c *Capture) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.totals.mu.Lock()
	defer c.totals.mu.Unlock()
	s := Stats{Backend: c.live.backend, Counters: c.totals.all}
	names := make(map[string]Counters, len(c.totals.byName))
	maps.Copy(names, c.totals.byName)
	for _, a := range c.live.sockets {
		n := a.socket.counters()
		s.Add(n)
		sum := names[a.tap.name]
		sum.Add(n)
		names[a.tap.name] = sum
	}
	for name, n := range names {
		s.Interfaces = append(s.Interfaces, InterfaceStats{Name: name, Counters: n})
	}
	slices.SortFunc(s.Interfaces, func(a, b InterfaceStats) int { return strings.Compare(a.Name, b.Name) })
	return s
}
