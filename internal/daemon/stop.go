package daemon

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"knockd/internal/command"
)

// closeAtExitTimeout bounds how long a clean stop waits for stop commands; systemd kills after 90 s.
const closeAtExitTimeout = 20 * time.Second

// stop ends the work in order: closings first, then the record of them, then the rest.
func (d *Daemon) stop() {
	d.notifier.stopping()
	if why := d.reason(); why != nil {
		d.say.linef("ending: %v", why)
	}
	d.say.line("shutting down")
	d.stopping = true
	d.forgetNotBegun()
	if d.conf.conf.Options.CloseAtExit && d.fatalErr == nil {
		d.closeAll()
	}
	if d.rehearsal != nil {
		d.writeRehearsal()
	}
	d.abandonTrial()
	d.ledger.flush(d.done)
	d.sayHidden()
	if d.settings.Detached && d.notifier.isReady {
		removePidFile(d.pidFile())
	}
}

// reason is what ends the daemon, nil for a stop that was asked for.
func (d *Daemon) reason() error {
	if d.fatalErr != nil {
		return d.fatalErr
	}
	if d.groupCtx.Err() != nil {
		return context.Cause(d.groupCtx)
	}
	return nil
}

// forgetNotBegun forgets what was to be opened and waits for the disk: it is opened no more.
func (d *Daemon) forgetNotBegun() {
	for _, o := range d.openings.byID {
		if !o.begun {
			d.forgetOpening(o)
		}
	}
}

// closeAll runs every stop command now and waits a while for them.
func (d *Daemon) closeAll() {
	ids := make([]uint64, 0, len(d.openings.byID))
	for id := range d.openings.byID {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		o := d.openings.byID[id]
		d.agenda.cancel(o.closing)
		if !o.stopped {
			d.close(o)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeAtExitTimeout)
	defer cancel()
	for len(d.openings.byID) > 0 {
		select {
		case out := <-d.runner.Outcomes():
			if out.Job.Event == command.EventStop {
				d.commandEnded(out)
			}
		case follow := <-d.done:
			follow()
		case <-ctx.Done():
			d.say.line(fmt.Sprintf("%d stop commands have not ended; the next start runs those again", len(d.openings.byID)))
			return
		}
	}
}

// sayHidden tells what a stop leaves as it is.
func (d *Daemon) sayHidden() {
	hidden := d.hiddenNow()
	if len(hidden) == 0 {
		return
	}
	d.say.linef("%s stay hidden (knockd unhide shows them)", strings.Join(hidden, ", "))
}
