package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"knockd/internal/config"
	"knockd/internal/firewall"
)

// native is the daemon's side of the native doors.
type native struct {
	// fw is nil as long as no door is native and nothing of ours is in the kernel.
	fw   *firewall.Kernel
	work *worker
	lost chan firewall.Loss
	// installed are the rules in force.
	installed firewall.Rules
	// grants are remembered, to be given back after somebody flushed the ruleset.
	grants grants
	// renewal is the lease's next renewal and setCheck the next look at the user's sets; nil without.
	renewal, setCheck *entry
	// unhidden is set by `knockd unhide`: nothing is hidden until the next reload.
	unhidden bool
	// broken are the warnings about the user's sets as they were last said.
	broken   string
	brokenAt time.Duration
	// restoring is set while a restoration is on its way, again if another is needed behind it; retry is a planned one.
	restoring, again bool
	retry            *entry
	quarrel          quarrel
	sleep            sleepWatch
	// knockedAt is when a knock last let somebody in.
	knockedAt time.Duration
}

// rules are what the firewall is to say for a configuration.
func (l *loaded) rules() firewall.Rules {
	options := &l.conf.Options
	r := firewall.Rules{
		AlwaysAllow: options.AlwaysAllow, AlwaysAllowInterfaces: options.AlwaysAllowInterfaces,
		Lease: options.Unattended,
	}
	for _, d := range l.doors {
		if d.Native() {
			r.Doors = append(r.Doors, firewall.Door{
				Name: d.Name, Ports: d.Open, Hide: d.Hide, Admit4: d.Admit4, Admit6: d.Admit6,
				MaxOpen: d.MaxOpen, Set4: d.Set4, Set6: d.Set6,
			})
		}
	}
	return r
}

// trialMargin is by how much the lease of a trial is longer than the trial: a daemon that lives ends it itself, and what
// was hidden before must not be seen in between.
const trialMargin = 5 * time.Second

// rulesNow are the rules in force: those of a trial are a lease of about its length, which nothing renews.
func (d *Daemon) rulesNow() firewall.Rules {
	r := d.conf.rules()
	if d.trial != nil {
		r.Lease = max(d.trial.until-d.clock.Now(), 0) + trialMargin
	}
	return r
}

// startNative installs the table before anything else is done. Where no door is native, a table of an earlier run is
// taken away: what the configuration does not hide is to be seen.
func (d *Daemon) startNative(ctx context.Context) error {
	d.native = &native{work: newWorker(d.done), lost: make(chan firewall.Loss, 1), grants: newGrants(), sleep: newSleepWatch()}
	rules := d.rulesNow()
	if len(rules.Doors) == 0 {
		return d.removeLeftover(ctx)
	}
	if err := d.openFirewall(ctx); err != nil {
		return err
	}
	rules.Fresh = firstStartOfBoot(runtimeDir)
	if err := d.native.fw.Install(ctx, rules, nil); err != nil {
		return fmt.Errorf("hiding the native doors' ports: %w", err)
	}
	markBoot(runtimeDir)
	d.native.installed = rules
	found, err := d.native.fw.List(ctx)
	if err != nil {
		return fmt.Errorf("reading who is let in: %w", err)
	}
	d.native.grants.adopt(found, d.clock.Now())
	d.grantsEnd(d.clock.Now())
	d.spawn(ctx, "firewall", d.native.work.Run)
	d.afterInstall()
	return nil
}

func (d *Daemon) openFirewall(ctx context.Context) error {
	fw, err := firewall.NewKernel()
	if err != nil {
		return fmt.Errorf("opening the firewall: %w", err)
	}
	d.native.fw = fw
	d.spawn(ctx, "watching the firewall", func(ctx context.Context) error { return fw.Watch(ctx, d.native.lost) })
	return nil
}

// removeLeftover removes a table that no door wants any more; without the right to look there is none of ours.
func (d *Daemon) removeLeftover(ctx context.Context) error {
	fw, err := firewall.NewKernel()
	if err != nil {
		return nil // no netfilter here, or not for us: nothing is hidden
	}
	defer func() { _ = fw.Close() }()
	present, err := fw.Present(ctx)
	if err != nil || !present {
		return nil
	}
	err = fw.Remove(ctx)
	if _, living := errors.AsType[*firewall.OwnedError](err); living {
		return nil // another daemon's, not left over
	}
	if err != nil {
		return fmt.Errorf("showing the ports that an earlier configuration hid: %w", err)
	}
	d.say.line("no native door is left: the ports that an earlier configuration hid are shown")
	return nil
}

// swapNative makes the firewall follow a reload; then is called with the outcome.
func (d *Daemon) swapNative(then func(error)) {
	n := d.native
	n.unhidden = false
	rules := d.rulesNow()
	if n.fw == nil {
		if len(rules.Doors) == 0 {
			then(nil)
			return
		}
		if err := d.openFirewall(d.groupCtx); err != nil {
			d.say.linef("the native doors can't be hidden: %v", err)
			then(err)
			return
		}
		d.spawn(d.groupCtx, "firewall", n.work.Run)
	}
	n.grants.keep(n.installed, rules)
	n.installed = rules
	fw := n.fw
	d.firewallWork("installing the native doors", func(ctx context.Context) error {
		if len(rules.Doors) == 0 {
			return fw.Remove(ctx)
		}
		return fw.Install(ctx, rules, nil)
	}, func(err error) {
		d.afterInstall()
		then(err)
	})
}

// afterInstall plans what keeps the table as it is.
func (d *Daemon) afterInstall() {
	d.planRenewal()
	d.planSetCheck()
}

// firewallWork does something at the firewall, off the loop. What fails is said, and tried again by a fresh Install.
func (d *Daemon) firewallWork(doing string, run func(context.Context) error, then func(error)) {
	ok := d.native.work.submit(run, func(err error) {
		if err != nil {
			d.say.linef("%s: %v", doing, err)
			d.restoreLater()
		}
		if then != nil {
			then(err)
		}
	})
	if !ok {
		d.say.linef("%s: %v", doing, errBusy)
		if then != nil {
			then(errBusy)
		}
	}
}

// tableLost follows a change of our table by somebody else: table and grants are restored at once.
func (d *Daemon) tableLost(loss firewall.Loss) {
	n := d.native
	if n.fw == nil || n.unhidden {
		return
	}
	culprit := ""
	if loss.Process != "" {
		culprit = fmt.Sprintf(" by %s (process %d)", loss.Process, loss.PID)
	}
	switch n.quarrel.again(d.clock.Now()) {
	case atOnce:
		d.say.linef("%s was changed or removed%s: restoring it", loss.What, culprit)
		d.restore()
	case slower:
		d.say.linef("warning: %s is changed again and again%s: restoring it once a second (does another knockd run?)", loss.What, culprit)
		d.restoreLater()
	case silent:
		d.restoreLater()
	}
}

// restore installs the rules anew, with the grants from memory.
func (d *Daemon) restore() {
	n := d.native
	rules := d.rulesNow()
	if n.fw == nil || n.unhidden || len(rules.Doors) == 0 {
		return
	}
	if n.restoring {
		n.again = true
		return
	}
	n.restoring = true
	fw, remembered, asked := n.fw, n.grants.remembered(d.clock.Now()), d.clock.Now()
	ok := n.work.submit(
		func(ctx context.Context) error {
			waited := d.clock.Now() - asked
			return fw.Install(ctx, rules, shorten(remembered, waited))
		},
		func(err error) { d.restored(err) })
	if !ok {
		n.restoring = false
		d.restoreLater()
	}
}

func (d *Daemon) restored(err error) {
	n := d.native
	again := n.again
	n.restoring, n.again = false, false
	switch {
	case err != nil:
		d.say.linef("the native doors can't be restored: %v (trying again)", err)
		d.restoreLater()
	case again:
		d.restore()
	}
}

// restoreDelay is between two attempts to put the table back.
const restoreDelay = time.Second

func (d *Daemon) restoreLater() {
	n := d.native
	if n.retry != nil {
		return
	}
	n.retry = d.agenda.at(d.clock.Now()+restoreDelay, func(time.Duration) {
		n.retry = nil
		d.restore()
	})
}

// planRenewal renews the lease well before its end: four times in its length, but not oftener than each second.
func (d *Daemon) planRenewal() {
	n := d.native
	d.agenda.cancel(n.renewal)
	n.renewal = nil
	lease := d.conf.conf.Options.Unattended
	if lease <= 0 || d.trial != nil || n.fw == nil || n.unhidden {
		return
	}
	every := min(max(lease/4, time.Second), time.Hour)
	n.renewal = d.agenda.at(d.clock.Now()+every, func(time.Duration) {
		fw := n.fw
		d.firewallWork("renewing the lease of the hidden ports", fw.Renew, nil)
		d.planRenewal()
	})
}

// The times of looking at the user's sets, and of saying again what is wrong with them.
const (
	setCheckEvery = time.Minute
	setSayEvery   = 10 * time.Minute
)

// planSetCheck looks at the user's own sets again and again: a missing one is said, never ignored.
func (d *Daemon) planSetCheck() {
	n := d.native
	d.agenda.cancel(n.setCheck)
	n.setCheck = nil
	if n.fw == nil || !d.conf.usesSets() {
		return
	}
	d.checkSets()
	n.setCheck = d.agenda.at(d.clock.Now()+setCheckEvery, func(time.Duration) { d.planSetCheck() })
}

func (d *Daemon) checkSets() {
	n := d.native
	fw, rules := n.fw, d.conf.rules()
	var wrong []error
	n.work.submit(
		func(ctx context.Context) error { wrong = fw.Check(ctx, rules); return nil },
		func(error) { d.setsAre(wrong) })
}

// setsAre says what is wrong with the user's sets: when it changes, and from time to time while it lasts.
func (d *Daemon) setsAre(wrong []error) {
	n := d.native
	text, now := "", d.clock.Now()
	if len(wrong) > 0 {
		text = errors.Join(wrong...).Error()
	}
	switch {
	case text == "" && n.broken != "":
		d.say.line("the sets of the native doors are right again")
		d.restore() // the new set is empty: those who are let in are let in again
	case text != "" && (text != n.broken || now-n.brokenAt >= setSayEvery):
		for _, err := range wrong {
			d.say.linef("warning: %v", err)
		}
		n.brokenAt = now
	}
	n.broken = text
}

func (l *loaded) usesSets() bool {
	for _, d := range l.doors {
		if d.Set4 != nil || d.Set6 != nil {
			return true
		}
	}
	return false
}

// opens names what a native door opens, for the log.
func opens(door *door) string {
	var parts []string
	for _, r := range door.Open {
		parts = append(parts, r.String())
	}
	for _, set := range []*config.SetRef{door.Set4, door.Set6} {
		if set != nil {
			parts = append(parts, "set "+set.String())
		}
	}
	return strings.Join(parts, ",")
}

// isPermission reports whether an error is a missing right.
func isPermission(err error) bool { return errors.Is(err, fs.ErrPermission) }
