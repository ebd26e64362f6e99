package daemon

import (
	"fmt"
	"net/netip"
	"time"

	"knockd/internal/command"
	"knockd/internal/config"
	"knockd/internal/failpoint"
)

// opening is a door that a start command opened and a stop command is to close.
type opening struct {
	id   uint64
	door string
	ip   netip.Addr
	// stop is the stop command with %IP% replaced: no reload can lose it.
	stop    string
	timeout time.Duration
	// closing is the planned end, nil while the start command runs.
	closing *entry
	// begun is set once the start command has been handed to the runner, here or in an earlier daemon; stopped the same of
	// the stop command.
	begun, stopped bool
	// survivor is set while a start command of an earlier daemon is waited for.
	survivor bool
}

// openings are those that are not closed yet.
type openings struct {
	last uint64
	byID map[uint64]*opening
}

func (o *openings) find(door string, ip netip.Addr) *opening {
	for _, have := range o.byID {
		if have.door == door && have.ip == ip && !have.stopped {
			return have
		}
	}
	return nil
}

// runStart runs the door's start command; with a stop command the intent to run that is recorded first.
func (d *Daemon) runStart(door *door, ip netip.Addr) {
	start, err := command.Expand(door.Start.For(ip), ip)
	stop, stopErr := command.Expand(door.Stop.For(ip), ip)
	if err == nil {
		err = stopErr
	}
	if err != nil {
		d.say.line(fmt.Sprintf("%s: command not run: %v", door.Name, err))
		return
	}
	if start == "" {
		return // as in the reference, what was not started is not stopped
	}
	if stop == "" {
		d.submit(command.Job{Key: command.Key{Door: door.Name, Source: ip}, Line: start, Event: command.EventStart})
		return
	}
	if door.OnRepeat == config.RepeatExtend {
		if have := d.openings.find(door.Name, ip); have != nil {
			d.extend(have, door.CmdTimeout)
			return
		}
	}
	d.openings.last++
	o := &opening{id: d.openings.last, door: door.Name, ip: ip, stop: stop, timeout: door.CmdTimeout}
	d.openings.byID[o.id] = o
	failpoint.Hit("before the intent")
	var late *entry
	begun := false
	begin := func() {
		if begun {
			return
		}
		begun = true
		d.agenda.cancel(late)
		d.startOpening(o, start)
	}
	d.ledger.opening(o, d.clock.Now()+o.timeout, begin)
	if begun {
		return
	}
	late = d.agenda.at(d.clock.Now()+diskPatience, func(time.Duration) {
		d.say.linef("warning: %s: the disk of the state does not answer: opening all the same, a crash now loses the closing", o.door)
		begin()
	})
}

// diskPatience is how long an intent waits for the disk: a right knock opens with one that hangs, too.
const diskPatience = 2 * time.Second

// startOpening runs the start command.
func (d *Daemon) startOpening(o *opening, start string) {
	if d.stopping || o.stopped || d.openings.byID[o.id] != o {
		// The daemon stops: what would be opened now is closed by nobody.
		d.say.about(o.ip, o.door+": not opened, knockd is shutting down")
		d.forgetOpening(o)
		return
	}
	o.begun = true
	failpoint.Hit("before the start command")
	job := command.Job{Key: command.Key{Door: o.door, Source: o.ip}, Line: start, Event: command.EventStart, Token: o.id}
	if !d.submit(job) {
		d.forgetOpening(o)
	}
	failpoint.Hit("behind the start command")
}

// submit hands a command to the runner, with its line in the log.
func (d *Daemon) submit(job command.Job) bool {
	if job.Line == "" {
		return true
	}
	if err := d.runner.Submit(job); err != nil {
		d.say.line(fmt.Sprintf("%s: command not run: %v: %s", job.Key.Door, err, job.Line))
		return false
	}
	d.say.line(fmt.Sprintf("%s: running command: %s", job.Key.Door, job.Line))
	return true
}

// commandEnded follows a command's end: its status in the log, and for a start command the closing's time.
func (d *Daemon) commandEnded(out command.Outcome) {
	name := out.Job.Key.Door
	switch {
	case out.Err != nil:
		d.say.line(fmt.Sprintf("%s: command could not be run: %v", name, out.Err))
	case out.Status != 0:
		d.say.line(fmt.Sprintf("%s: command returned non-zero status code (%d)", name, out.Status))
		if out.Output != "" {
			d.say.line(fmt.Sprintf("%s: its output: %s", name, out.Output))
		}
	}
	o := d.openings.byID[out.Job.Token]
	if out.Job.Token == 0 || o == nil {
		return
	}
	if out.Job.Event == command.EventStop {
		d.stopEnded(o, out.Err)
		return
	}
	if o.stopped {
		return // it was closed by hand meanwhile: the stop command is behind it in the queue
	}
	d.armClosing(o, d.clock.Now()+o.timeout)
}

// stopRetry is between two attempts to run a stop command that could not be run.
const stopRetry = time.Second

// stopEnded follows a stop command. One that could not be run at all (no memory, no descriptors) is tried again: a closing is
// never given up.
func (d *Daemon) stopEnded(o *opening, err error) {
	if err == nil {
		d.forgetOpening(o)
		return
	}
	o.closing = d.agenda.at(d.clock.Now()+stopRetry, func(time.Duration) { d.close(o) })
}

// armClosing plans the stop command, and records the time.
func (d *Daemon) armClosing(o *opening, at time.Duration) {
	failpoint.Hit("before the closing is planned")
	d.agenda.cancel(o.closing)
	d.ledger.started(o, at)
	o.closing = d.agenda.at(at, func(time.Duration) {
		d.say.about(o.ip, o.door+": command timeout")
		d.close(o)
	})
}

// extend moves the end of an opening to timeout from now, never nearer.
func (d *Daemon) extend(o *opening, timeout time.Duration) {
	o.timeout = timeout
	if o.closing == nil {
		return // the start command still runs: the time counts from its return
	}
	if at := d.clock.Now() + timeout; at > o.closing.at {
		d.armClosing(o, at)
		d.say.about(o.ip, fmt.Sprintf("%s: open for %s from now", o.door, timeout))
	}
}

// close runs the stop command. It stays on record until that has returned.
func (d *Daemon) close(o *opening) {
	failpoint.Hit("before the stop command")
	o.stopped = true
	job := command.Job{Key: command.Key{Door: o.door, Source: o.ip}, Line: o.stop, Event: command.EventStop, Token: o.id}
	if d.submit(job) {
		failpoint.Hit("behind the stop command")
		return
	}
	// The runner's queue is full: a closing is never given up.
	o.closing = d.agenda.at(d.clock.Now()+time.Second, func(time.Duration) { d.close(o) })
}

func (d *Daemon) forgetOpening(o *opening) {
	d.agenda.cancel(o.closing)
	delete(d.openings.byID, o.id)
	failpoint.Hit("before the closing is recorded")
	d.ledger.closed(o)
}
