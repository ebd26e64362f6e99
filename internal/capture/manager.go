package capture

import (
	"context"
	"errors"
	"reflect"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/config"
	"knockd/internal/processors"
)

// The time before what failed is tried again: doubled at each failure in a row, back to the shortest by a new Want.
const (
	shortestRetry = 100 * time.Millisecond
	longestRetry  = 10 * time.Second
)

// manager makes the sockets what the newest Want says. All of it runs on the goroutine of Run.
type manager struct {
	c    *Capture
	out  outlet
	want *Want
	// backend is nil before there is one; asked is what it was chosen for, rules what it was told, nil for nothing.
	backend backend
	asked   config.Backend
	rules   *rules
	sockets map[place]attachment

	events *eventQueue
	retry  *time.Timer
	delay  time.Duration
	// again is set where this round of apply has something to try again.
	again bool
}

func newManager(c *Capture) *manager {
	retry := time.NewTimer(time.Hour)
	retry.Stop()
	return &manager{
		c: c,
		out: outlet{
			batches: c.batches,
			barrier: c.barrier,
			failed:  c.failures.report,
		},
		sockets: map[place]attachment{},
		events:  newEventQueue(c.opts.EventQueue),
		retry:   retry,
		delay:   shortestRetry,
	}
}

func (m *manager) run(ctx context.Context) {
	for {
		out, next := m.events.head(m.c.events)
		select {
		case <-ctx.Done():
			return
		case out <- next:
			m.events.pop()
			continue
		case <-m.c.wake:
			m.want = m.c.want.Load()
			m.delay = shortestRetry
		case <-m.c.failures.wake:
			m.troubles()
			continue
		case <-m.retry.C:
		}
		m.apply()
	}
}

// apply makes things as wanted, as far as that is possible now.
func (m *manager) apply() {
	if m.want == nil {
		return
	}
	defer processors.Compute()()
	m.again = false
	if m.ensureBackend() && m.ensureRules() {
		m.ensureSockets()
	}
	m.retry.Stop()
	if m.again {
		m.tryLater()
	}
	m.publish()
}

func (m *manager) tryLater() {
	m.retry.Reset(m.delay)
	m.delay = min(2*m.delay, longestRetry)
}

// ensureBackend reports whether there is a backend: of the wanted kind or, while that can't be had, the one before.
func (m *manager) ensureBackend() bool {
	if m.backend != nil && m.asked == m.want.Backend {
		return true
	}
	b, reason, err := choose(m.want.Backend, m.out)
	if err != nil {
		m.trouble("", err)
		return m.backend != nil
	}
	m.closeBackend()
	m.use(b, reason)
	return true
}

// use makes b the backend.
func (m *manager) use(b backend, reason error) {
	m.backend, m.asked, m.rules = b, m.want.Backend, nil
	m.events.worked("")
	m.events.add(Event{Kind: BackendChosen, Backend: b.kind(), Err: reason})
}

// ensureRules reports whether the backend has rules, if need be older ones.
func (m *manager) ensureRules() bool {
	r := m.want.rules()
	if m.rules != nil && reflect.DeepEqual(*m.rules, r) {
		return true
	}
	err := m.backend.update(r)
	if err != nil && m.fallBack(err) {
		err = m.backend.update(r)
	}
	if err != nil {
		m.trouble("", err)
		return m.rules != nil
	}
	m.events.worked("")
	m.rules = &r
	return true
}

// fallBack replaces an eBPF backend that nobody insists on, and reports whether it did.
func (m *manager) fallBack(reason error) bool {
	if m.want.Backend != config.CaptureAuto || m.backend.kind() != config.CaptureEBPF {
		return false
	}
	b, err := openClassic(m.out)
	if err != nil {
		m.trouble("", err)
		return false
	}
	m.closeBackend()
	m.use(b, reason)
	return true
}

// ensureSockets closes what is not wanted or dead, and then opens what is missing.
func (m *manager) ensureSockets() {
	wanted := map[place]tap{}
	for _, t := range m.want.taps() {
		wanted[t.place()] = t
	}
	m.events.forgetOthers(wanted)
	for p, a := range m.sockets {
		t, ok := wanted[p]
		switch {
		case !ok || a.socket.gone():
			m.detach(a)
		case t.name != a.tap.name:
			m.sockets[p] = attachment{t, a.socket}
			m.events.add(Event{Kind: Attached, Interface: t.name, Backend: m.backend.kind()})
		}
	}
	for _, t := range m.want.taps() {
		if _, ok := m.sockets[t.place()]; !ok {
			m.attach(t)
		}
	}
}

func (m *manager) attach(t tap) {
	s, err := m.backend.attach(t)
	if err != nil {
		m.trouble(t.name, err)
		return
	}
	m.sockets[t.place()] = attachment{t, s}
	m.events.worked(t.name)
	if t.protocol != unix.ETH_P_IPV6 { // "any" is two sockets and one event
		m.events.add(Event{Kind: Attached, Interface: t.name, Backend: m.backend.kind()})
	}
}

func (m *manager) detach(a attachment) {
	m.drop(a)
	if a.tap.protocol != unix.ETH_P_IPV6 {
		m.events.add(Event{Kind: Detached, Interface: a.tap.name, Backend: m.backend.kind()})
	}
}

// drop closes a socket and keeps its counters.
func (m *manager) drop(a attachment) {
	a.socket.close()
	delete(m.sockets, a.tap.place())
	m.c.failures.forget(a.tap.place())
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	delete(m.c.live.sockets, a.tap.place())
	m.c.totals.add(a.tap.name, a.socket.counters())
}

// troubles looks at what the sockets reported. One whose interface went down stays, and is looked at once more a
// little later: a deletion begins like that.
func (m *manager) troubles() {
	for p, err := range m.c.failures.take() {
		a, ok := m.sockets[p]
		switch {
		case !ok:
		case errors.Is(err, unix.ENETDOWN):
			m.delay = shortestRetry
		default:
			m.drop(a)
			m.trouble(a.tap.name, err)
		}
	}
	m.tryLater()
}

// trouble tells an error once, and has it tried again.
func (m *manager) trouble(name string, err error) {
	m.again = true
	m.events.trouble(name, err)
}

// publish shows the sockets to Stats.
func (m *manager) publish() {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	m.c.live = view{sockets: map[place]attachment{}}
	if m.backend != nil {
		m.c.live.backend = m.backend.kind()
	}
	for p, a := range m.sockets {
		m.c.live.sockets[p] = a
	}
}

func (m *manager) closeBackend() {
	if m.backend == nil {
		return
	}
	for _, a := range m.sockets {
		m.drop(a)
	}
	m.backend.close()
	m.backend, m.rules = nil, nil
}

func (m *manager) close() {
	m.retry.Stop()
	m.closeBackend()
}
