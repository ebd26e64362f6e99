package capture

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/boottime"
	"knockd/internal/packet"
)

// A token is settled when every member has passed it, or left.
func TestBarrier(t *testing.T) {
	b := newBarrier()
	woken := map[string]int{}
	first := b.join(func() { woken["first"]++ })
	second := b.join(func() { woken["second"]++ })
	b.ask(5)
	if woken["first"] != 1 || woken["second"] != 1 {
		t.Errorf("woken: %v", woken)
	}
	first.pass(first.token())
	if b.settled() != 0 {
		t.Errorf("settled %d with one missing", b.settled())
	}
	late := b.join(func() {})
	second.pass(4) // what it had read before
	if b.settled() != 4 {
		t.Errorf("settled %d, want 4", b.settled())
	}
	second.leave()
	if b.settled() != 5 || len(b.mark) != 1 {
		t.Errorf("settled %d, %d marks", b.settled(), len(b.mark))
	}
	b.ask(3)
	if late.token() != 5 {
		t.Errorf("an older token replaced the newer: %d", late.token())
	}
}

// The pool never grows, and whoever waits for it can be stopped.
func TestBatches(t *testing.T) {
	b := newBatches()
	stop := make(chan struct{})
	for range batchesInFlight {
		batch := b.take(stop)
		batch.Packets = append(batch.Packets, packet.Packet{})
		b.deliver(batch)
	}
	b.mark(func() uint64 { return 7 }, stop)
	for range batchesInFlight {
		b.release(<-b.filled)
	}
	mark := <-b.filled
	if mark.Synced != 7 {
		t.Errorf("mark %d", mark.Synced)
	}
	b.release(mark)
	for range batchesInFlight {
		if batch := b.take(stop); len(batch.Packets) != 0 || cap(batch.Packets) != batchPackets {
			t.Errorf("a batch of %d, %d", len(batch.Packets), cap(batch.Packets))
		}
	}
	close(stop)
	if b.take(stop) != nil {
		t.Error("one batch too many")
	}
}

func TestReceiveClock(t *testing.T) {
	c := receiveClock{now: time.Hour, offset: 1000 * time.Hour}
	for _, test := range []struct{ stamp, want time.Duration }{
		{1000*time.Hour + 30*time.Minute, time.Hour - oldest}, // the wall clock was set back
		{1001*time.Hour - time.Second, time.Hour - time.Second},
		{1001*time.Hour - 2*time.Second, time.Hour - time.Second}, // never before the packet in front
		{1002 * time.Hour, time.Hour},                             // set forward
	} {
		if got := c.boottime(test.stamp); got != test.want {
			t.Errorf("%v: %v, want %v", test.stamp, got, test.want)
		}
	}
	c.read()
	if now := boottime.Now(); c.now > now || now-c.now > waitBound {
		t.Errorf("read %v at %v", c.now, now)
	}
}

// An error is told once until it works, an interface that has just vanished not at once, and the oldest event goes when
// nobody takes them.
func TestEventQueue(t *testing.T) {
	q := newEventQueue(3)
	gone := fmt.Errorf("binding: %w", unix.ENODEV)
	for range patience - 1 {
		q.trouble("eth0", gone)
	}
	if len(q.queue) != 0 {
		t.Errorf("told at once: %v", q.queue)
	}
	q.trouble("eth0", gone)
	q.trouble("eth0", gone)
	if len(q.queue) != 1 {
		t.Errorf("told %d times", len(q.queue))
	}
	q.worked("eth0")
	other := errors.New("other")
	q.trouble("eth0", other)
	q.trouble("eth0", other)
	q.forgetOthers(nil)
	q.trouble("eth0", other)
	if len(q.queue) != 3 {
		t.Errorf("%d events: %v", len(q.queue), q.queue)
	}
	q.add(Event{Kind: Attached, Interface: "eth0"})
	if len(q.queue) != 3 || q.queue[2].Kind != Attached || q.queue[0].Err != other {
		t.Errorf("queue: %v", q.queue)
	}
}

func TestEventString(t *testing.T) {
	for _, e := range []struct {
		event Event
		want  string
	}{
		{Event{Kind: Attached, Interface: "eth0"}, "capturing from eth0"},
		{Event{Kind: Detached, Interface: "eth0"}, "no longer capturing from eth0"},
		{Event{Kind: Failed, Interface: "eth0", Err: unix.ENODEV}, "capture from eth0: no such device"},
		{Event{Kind: Failed, Err: unix.ENODEV}, "capture: no such device"},
		{Event{Kind: BackendChosen}, "capture by auto"},
		{Event{}, "capture event 0"},
	} {
		if got := e.event.String(); got != e.want {
			t.Errorf("%q, want %q", got, e.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	seen := map[string]bool{}
	for r := range Refusal(refusals) {
		if seen[r.String()] || r.String() == "" || r.String() == "unknown" {
			t.Errorf("%d: %q", r, r)
		}
		seen[r.String()] = true
	}
	if r := refusalOf(errors.New("new")); r != RefusedOther || Refusal(200).String() != "unknown" {
		t.Errorf("an unknown error is %v", r)
	}
	if r := refusalOf(packet.ErrDestination); r != RefusedDestination {
		t.Errorf("ErrDestination is %v", r)
	}
}
