package daemon

import (
	"context"
	"time"

	"knockd/internal/capture"
)

// loop is the one place where packets, timers, outcomes and requests meet.
func (d *Daemon) loop(ctx, group context.Context) {
	hangup, stopSignals := notifyHangup()
	defer stopSignals()
	for !d.ending {
		d.setTimer()
		select {
		case <-ctx.Done():
			return
		case <-group.Done():
			return // a part failed; Run returns its error
		case batch := <-d.capture.Batches():
			d.take(batch)
		case now := <-d.timer.C():
			d.timerAt = 0
			d.tick(max(now, d.clock.Now()))
		case state := <-d.watcher.States():
			d.linksAre(state)
		case event := <-d.capture.Events():
			d.captureSays(event)
		case outcome := <-d.runner.Outcomes():
			d.commandEnded(outcome)
		case follow := <-d.done:
			follow()
		case call := <-d.sockets.calls:
			d.called(call)
		case loss := <-d.native.lost:
			d.tableLost(loss)
		case <-hangup:
			d.startReload(nil)
		}
	}
}

// take shows the packets of a batch to the engine, and does what follows.
func (d *Daemon) take(batch *capture.Batch) {
	for i := range batch.Packets {
		p := &batch.Packets[i]
		if d.settings.Debug {
			d.say.packet(p)
		}
		d.events = d.engine.Step(p, d.events[:0])
		for _, e := range d.events {
			d.happened(e)
		}
	}
	if batch.Synced != 0 {
		d.expireSynced(batch.Synced)
	}
	d.capture.Release(batch)
}

// expiry is the engine's deadlines between the timer and the packets that arrived before it.
type expiry struct {
	token uint64
	// asked is set while a Sync is on its way, for the deadlines up to at.
	asked bool
	at    time.Duration
}

// tick does what is due. The engine's deadlines wait until every packet that arrived before them has been seen.
func (d *Daemon) tick(now time.Duration) {
	d.agenda.run(now)
	if deadline, ok := d.engine.NextDeadline(); ok && deadline <= now && !d.expiry.asked {
		d.expiry.token++
		d.expiry.asked, d.expiry.at = true, now
		d.capture.Sync(d.expiry.token)
	}
}

// expireSynced lets the knocks die whose deadline passed before the Sync was asked for.
func (d *Daemon) expireSynced(token uint64) {
	if !d.expiry.asked || token != d.expiry.token {
		return
	}
	d.expiry.asked = false
	d.events = d.engine.Expire(d.expiry.at, d.events[:0])
	for _, e := range d.events {
		d.happened(e)
	}
}

// setTimer waits for the next thing to do.
func (d *Daemon) setTimer() {
	next, ok := d.agenda.next()
	if deadline, has := d.engine.NextDeadline(); has && !d.expiry.asked && (!ok || deadline < next) {
		next, ok = deadline, true
	}
	err := error(nil)
	switch {
	case ok && next != d.timerAt:
		err = d.timer.Reset(next)
		d.timerAt = next
	case !ok && d.timerAt != 0:
		err = d.timer.Stop()
		d.timerAt = 0
	}
	if err != nil {
		d.fail(err) // a daemon that can't close a door on time must not go on
	}
}
