package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"knockd/internal/control"
)

// trial is rules that are taken back unless they are confirmed. The kernel holds them as a lease of its length, so that
// they go even if the daemon does.
type trial struct {
	// previous is what is taken back to; nil where the daemon was started for the trial: it then ends.
	previous *loaded
	// shown is set where `knockd unhide` had shown every port before the trial: they are shown again behind it.
	shown        bool
	began, until time.Duration
	lapse        *entry
}

// The bounds of a trial's length.
const (
	shortestTrial = 10 * time.Second
	longestTrial  = 24 * time.Hour
)

// CheckTrial reports what is wrong with a trial's length.
func CheckTrial(length time.Duration) error {
	if length < shortestTrial || length > longestTrial {
		return fmt.Errorf("a trial lasts from %s to %s", shortestTrial, longestTrial)
	}
	return nil
}

// tryVerb puts the file as it is now in force, on trial.
func (d *Daemon) tryVerb(request control.Request, answer reply) {
	var args control.TryArgs
	if err := json.Unmarshal(request.Args, &args); err != nil {
		answer(nil, fmt.Errorf("reading the arguments: %w", err))
		return
	}
	if err := CheckTrial(args.For); err != nil {
		answer(nil, err)
		return
	}
	var next *loaded
	path, key := d.settings.ConfigPath, d.decoyKey
	d.onFiles(func(context.Context) (err error) {
		if next, err = prepare(key, func() (*loaded, error) { return load(path) }); err != nil {
			return err
		}
		return markTrial(stateDirsOf(&next.conf.Options), next.text) // where a start with that file looks
	}, func(err error) {
		if err != nil {
			answer(nil, stays(err))
			return
		}
		d.tryLoaded(next, args.For, answer)
	})
}

func (d *Daemon) tryLoaded(next *loaded, length time.Duration, answer reply) {
	if d.trial == nil && d.lastGood == nil && !d.native.unhidden && string(next.text) == string(d.conf.text) {
		dirs := d.stateDirs()
		d.onFiles(func(context.Context) error { return unmarkTrial(dirs) }, func(error) {
			answer(nil, &HintedError{
				Err:  errors.New("this configuration is in force already: there is nothing to try"),
				Hint: "change the file first; knockd status shows what is in force",
			})
		})
		return
	}
	previous := d.conf
	if d.trial != nil {
		previous = d.trial.previous
	}
	d.beginTrial(previous, length)
	d.swap(next, func(err error) {
		if err != nil {
			d.takeBack("the rules on trial can't be installed")
			answer(nil, err)
			return
		}
		answer(control.Done{
			Message: fmt.Sprintf("on trial for %s: what is not confirmed by then is taken back", length),
			Hint:    "knock and log in from elsewhere, and run knockd confirm in that new session",
		}, nil)
	})
}

func (d *Daemon) beginTrial(previous *loaded, length time.Duration) {
	shown := d.shownBefore()
	d.endTrial()
	now := d.clock.Now()
	d.trial = &trial{previous: previous, shown: shown, began: now, until: now + length}
	d.trial.lapse = d.agenda.at(d.trial.until, func(time.Duration) { d.takeBack("not confirmed in time") })
	d.say.linef("on trial for %s: taken back unless knockd confirm comes", length)
}

// shownBefore reports whether every port was shown before the trial that runs or is about to begin.
func (d *Daemon) shownBefore() bool {
	if d.trial != nil {
		return d.trial.shown
	}
	return d.native != nil && d.native.unhidden
}

// abandonTrial undoes a trial that the daemon was started for, where the daemon never became ready: nobody could have
// confirmed it, and the file may be good.
func (d *Daemon) abandonTrial() {
	if d.settings.Trial <= 0 || d.notifier.isReady {
		return
	}
	d.endTrial()
	if err := unmarkTrial(d.stateDirs()); err != nil && d.say != nil {
		d.say.linef("warning: %v", err)
	}
	if d.native == nil || d.native.fw == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	if err := d.native.fw.Remove(ctx); err != nil {
		d.say.linef("warning: %v", err)
	}
	d.native.unhidden = true
}

// endTrial forgets a trial; what it put in force stays.
func (d *Daemon) endTrial() {
	if d.trial != nil {
		d.agenda.cancel(d.trial.lapse)
		d.trial = nil
	}
}

// takeBack ends a trial with the rules from before it. The mark on disk stays: the file that failed is not loaded again
// before it is changed, or tried anew.
func (d *Daemon) takeBack(why string) {
	if d.trial == nil {
		return
	}
	previous, shown := d.trial.previous, d.trial.shown
	d.endTrial()
	d.say.linef("the rules on trial are taken back: %s", why)
	if previous == nil {
		// Nothing was in force before: nothing is to be hidden now.
		d.show(func(error) { d.ending = true })
		return
	}
	// Loaded anew: one-time sequences were used meanwhile.
	var fresh *loaded
	key := d.decoyKey
	d.onFiles(func(context.Context) (err error) {
		fresh, err = prepare(key, func() (*loaded, error) { return loadText(previous.conf.Path, previous.text) })
		return err
	}, func(err error) {
		if err != nil {
			d.say.linef("warning: %v", err)
			fresh = previous
		}
		d.swap(fresh, func(error) {})
		if shown {
			d.show(func(error) {})
		}
	})
}

// confirmVerb keeps what is on trial, if the caller shows that there is a way in.
func (d *Daemon) confirmVerb(request control.Request, answer reply) {
	var args control.ConfirmArgs
	if err := json.Unmarshal(request.Args, &args); err != nil {
		answer(nil, fmt.Errorf("reading the arguments: %w", err))
		return
	}
	if err := d.mayConfirm(args); err != nil {
		answer(nil, err)
		return
	}
	dirs, judged := d.stateDirs(), d.trial
	d.onFiles(func(context.Context) error { return unmarkTrial(dirs) }, func(err error) {
		switch {
		case err != nil:
			answer(nil, fmt.Errorf("the trial goes on: %w", err))
		case d.trial != judged:
			// It lapsed, or another began, while the disk was asked: what was judged is not what would be confirmed.
			d.markAgain(dirs)
			answer(nil, errNoTrial)
		default:
			d.confirmed(answer)
		}
	})
}

// markAgain notes again, for the next start, the file that is on trial or that was tried last.
func (d *Daemon) markAgain(dirs []string) {
	path := d.settings.ConfigPath
	text := d.conf.text
	onTrial := d.trial != nil
	d.onFiles(func(context.Context) error {
		if onTrial {
			return markTrial(dirs, text)
		}
		l, err := load(path)
		if err != nil {
			return nil // it does not load anyway
		}
		return markTrial(dirs, l.text)
	}, func(err error) {
		if err != nil {
			d.say.linef("warning: %v", err)
		}
	})
}

func (d *Daemon) confirmed(answer reply) {
	if d.trial == nil {
		answer(nil, errNoTrial)
		return
	}
	d.endTrial()
	d.lastGood = nil // the file runs
	d.say.line("confirmed: the rules on trial stay")
	d.keepLastGood()
	d.swapNative(func(err error) {
		answer(control.Done{
			Message: "confirmed: the rules stay",
			Hint:    "to have knockd started at boot: systemctl enable knockd",
		}, err)
	})
}

var errNoTrial = &HintedError{Err: errors.New("nothing is on trial"), Hint: "knockd try 5m starts a trial"}

// mayConfirm asks for a knock that opened a door, and for a connection to a hidden port, both since the trial began.
func (d *Daemon) mayConfirm(args control.ConfirmArgs) error {
	switch {
	case d.trial == nil:
		return errNoTrial
	case args.Force || len(d.hiddenNow()) == 0:
		return nil
	case d.native.knockedAt < d.trial.began:
		return &HintedError{
			Err:  errors.New("no knock has opened a native door since the trial began"),
			Hint: "knock from elsewhere, log in through the door and confirm there",
		}
	case !args.Came:
		return &HintedError{Err: errors.New("this session did not come through a door"), Hint: "knock and log in from elsewhere, and confirm there"}
	}
	return nil
}
