package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"knockd/internal/command"
	"knockd/internal/config"
	"knockd/internal/failpoint"
	"knockd/internal/journal"
)

// ledger is the daemon's side of the journal. Without one (no door needs it) openings are in memory alone.
type ledger struct {
	journal *journal.Journal
	options config.Options
	// done brings the journal's answers to the loop.
	done chan<- func()
	// over is closed when the loop ends, so that an answer that nobody waits for blocks nobody.
	over <-chan struct{}
}

// needsState reports whether a door leaves something to be closed by us.
func needsState(l *loaded) bool {
	return slices.ContainsFunc(l.doors, func(d *door) bool { return d.Stop.V4 != "" || d.Stop.V6 != "" }) || len(l.rules().Doors) > 0
}

// startLedger opens the journal if a door needs it, and takes up what an earlier run left open.
func (d *Daemon) startLedger(ctx context.Context) error {
	d.ledger = &ledger{done: d.done, over: ctx.Done()}
	options := d.conf.conf.Options
	if options.State == config.StateNone || !needsState(d.conf) {
		return nil
	}
	j, err := d.openJournal(&options)
	if err != nil {
		return err
	}
	d.adoptJournal(ctx, j, options)
	return nil
}

// openJournal opens the journal. It touches nothing of the loop's: a reload calls it elsewhere.
func (d *Daemon) openJournal(options *config.Options) (*journal.Journal, error) {
	// It holds the fallback; without it what the disk does not take is kept in memory, and said.
	_ = os.MkdirAll(runtimeDir, 0o755)
	return journal.Open(journal.Options{
		Dir: options.State, Fallback: fallbackOf(options.State), Strict: options.StateSet, Notice: d.notice,
		Hook: func(step string) { failpoint.Hit("journal " + step) },
	})
}

// adoptJournal makes a journal the daemon's.
func (d *Daemon) adoptJournal(ctx context.Context, j *journal.Journal, options config.Options) {
	d.openings.last = max(d.openings.last, j.LastID())
	for _, warning := range j.Warnings() {
		d.say.line("warning: " + warning)
	}
	d.ledger.journal, d.ledger.options = j, options
	d.spawn(ctx, "journal", j.Run)
	for _, e := range j.Entries() {
		d.takeUp(e)
	}
}

// fallbackOf is where the state of a directory is kept while that can't be written, in this boot.
func fallbackOf(dir string) string {
	return filepath.Join(runtimeDir, "state"+strings.ReplaceAll(filepath.Clean(dir), "/", "-"))
}

// notice brings what the journal has to say to the log.
func (d *Daemon) notice(text string) {
	d.ledger.send(func() { d.say.line(text) })
}

// send brings something to the loop.
func (l *ledger) send(follow func()) {
	select {
	case l.done <- follow:
	case <-l.over:
	}
}

// opening records the intent to open, and calls then on the loop: the door is opened in any case, for a right knock
// opens with a full disk too.
func (l *ledger) opening(o *opening, closes time.Duration, then func()) {
	if l.journal == nil {
		then()
		return
	}
	l.journal.Opening(journal.Entry{
		ID: o.id, Boot: bootID(), Door: o.door, IP: o.ip.String(), Stop: o.stop, Timeout: o.timeout, Closes: closes,
	}, func(error) { l.send(then) })
}

func (l *ledger) started(o *opening, closes time.Duration) {
	if l.journal != nil {
		l.journal.Started(o.id, closes)
	}
}

func (l *ledger) closed(o *opening) {
	if l.journal != nil {
		l.journal.Closed(o.id)
	}
}

// flushTime bounds how long a stop waits for the disk.
const flushTime = 5 * time.Second

// flush waits, on the loop, until everything recorded is on disk; answers that come meanwhile are followed.
func (l *ledger) flush(done <-chan func()) {
	if l.journal == nil {
		return
	}
	written := make(chan struct{})
	l.journal.Flush(func(error) { close(written) })
	timeout := time.NewTimer(flushTime)
	defer timeout.Stop()
	for {
		select {
		case <-written:
			return
		case follow := <-done:
			follow()
		case <-timeout.C:
			return
		}
	}
}

// warnings are what is wrong with the state now.
func (l *ledger) warnings() []string {
	if l.journal == nil || l.journal.Trouble() == "" {
		return nil
	}
	return []string{l.journal.Trouble()}
}

// swapLedger opens a journal, off the loop, where a reload brings the first door that needs one. A state directory is not
// changed while the daemon runs: what is open is recorded in the old one.
func (d *Daemon) swapLedger() {
	options := d.conf.conf.Options
	switch {
	case d.ledger.journal != nil:
		if options.State != d.ledger.options.State {
			d.say.linef("warning: the state stays in %s until a restart", d.ledger.options.State)
		}
	case options.State != config.StateNone && needsState(d.conf):
		var j *journal.Journal
		d.onFiles(func(context.Context) (err error) { j, err = d.openJournal(&options); return err }, func(err error) {
			switch {
			case err != nil:
				d.say.linef("warning: what commands open is not on record: %v", err)
			case d.ledger.journal != nil || d.stopping: // another reload was quicker, or there is nothing to record any more
				j.Close()
			default:
				d.adoptJournal(d.groupCtx, j, options)
			}
		})
	}
}

// takeUp follows an opening that an earlier run left: overdue ones are closed at once, the others in time. One whose start
// command may still run is waited for, as if it were ours.
func (d *Daemon) takeUp(e journal.Entry) {
	ip, err := netip.ParseAddr(e.IP)
	if err != nil {
		d.say.linef("warning: the journal names %q, which is no address: its stop command is not run: %s", e.IP, e.Stop)
		return
	}
	o := &opening{id: e.ID, door: e.Door, ip: ip, stop: e.Stop, timeout: e.Timeout, begun: true}
	d.openings.byID[o.id] = o
	d.openings.last = max(d.openings.last, o.id)
	switch {
	case e.Boot != bootID():
		d.closeLate(o, "left open before this boot")
	case !e.Started && len(command.Survivors(e.ID)) > 0:
		d.waitForSurvivors(o)
	case e.Closes <= d.clock.Now():
		d.closeLate(o, "overdue")
	default:
		// Never later than it would have been with a start command that took no time.
		d.armClosing(o, e.Closes)
	}
}

func (d *Daemon) closeLate(o *opening, why string) {
	d.say.about(o.ip, fmt.Sprintf("%s: closing what an earlier run opened (%s)", o.door, why))
	d.close(o)
}

// survivorPoll is between two looks at a start command that an earlier run began.
const survivorPoll = time.Second

func (d *Daemon) waitForSurvivors(o *opening) {
	o.closing, o.survivor = nil, true
	d.agenda.at(d.clock.Now()+survivorPoll, func(now time.Duration) {
		if len(command.Survivors(o.id)) > 0 {
			d.waitForSurvivors(o)
			return
		}
		o.survivor = false
		d.armClosing(o, now+o.timeout)
	})
}
