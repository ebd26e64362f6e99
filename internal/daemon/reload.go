package daemon

import (
	"context"
	"errors"
	"slices"

	"knockd/internal/config"
	"knockd/internal/packet"
	"knockd/internal/processors"
)

// startReload reads the configuration anew, off the loop; then is called when it is in force or refused, and may be
// nil. Nothing changes unless the whole file is good.
func (d *Daemon) startReload(then func(error)) {
	if then == nil {
		then = func(error) {}
	}
	d.notifier.reloading()
	d.say.line("re-reading config file: " + d.settings.ConfigPath)
	d.say.log.Reopen()
	if d.trial != nil {
		d.refuseReload(errOnTrial)
		then(errOnTrial)
		return
	}
	path, key := d.settings.ConfigPath, d.decoyKey
	var next *loaded
	ok := d.files.submit(
		func(context.Context) (err error) {
			next, err = prepare(key, func() (*loaded, error) { return loadConfirmed(path) })
			return err
		},
		func(err error) {
			if err != nil {
				d.refuseReload(err)
				then(err)
				return
			}
			if d.trial != nil {
				d.refuseReload(errOnTrial)
				then(errOnTrial)
				return
			}
			d.lastGood = nil
			d.swap(next, then)
		})
	if !ok {
		d.refuseReload(errBusy)
		then(errBusy)
	}
}

var errBusy = errors.New("too much to read and write at once; try again")

var errOnTrial = &HintedError{
	Err:  errors.New("a configuration is on trial, nothing else is loaded meanwhile"),
	Hint: "knockd confirm keeps it; knockd try tries the file as it is now",
}

// sayNotes logs what the configuration says that can be loaded but not meant.
func (d *Daemon) sayNotes() {
	for _, note := range d.conf.notes {
		d.say.line("warning: " + note.In(d.conf.conf.Path))
	}
}

func (d *Daemon) refuseReload(err error) {
	for _, line := range errorLines(err) {
		d.say.line(line)
	}
	d.say.line("the configuration is unchanged, the running one stays in force")
	d.notifier.ready("running with the old configuration: the new one is refused")
}

// errorLines are the lines of an error for the log: one for each error in the file.
func errorLines(err error) []string {
	var several config.Errors
	if !errors.As(err, &several) {
		return []string{err.Error()}
	}
	var lines []string
	for _, e := range several {
		lines = append(lines, e.Error())
	}
	return lines
}

// swap puts a loaded configuration in force: doors that did not change keep their knocks in flight.
func (d *Daemon) swap(next *loaded, then func(error)) {
	defer processors.Compute()()
	old := d.conf
	mapping := match(old.doors, next.doors)
	b := next.built
	if d.carryOver(old.doors, next.doors, mapping) || b == nil {
		b = build(next.doors, d.decoyKey)
	}
	next.built = nil // it is of now: taken back later, it is made anew
	b.engine.Adopt(d.engine, mapping)
	d.conf, d.compiled, d.engine = next, b.compiled, b.engine
	d.say.log.Configure(d.logOptions())
	d.sayNotes()
	d.warnOfCommands()
	d.runner.SetMax(next.conf.Options.MaxCommands)
	d.listen()
	d.swapControl()
	d.swapLedger()
	d.swapNative(then)
	d.planRehearsal()
	d.keepLastGood()
	d.notifier.ready("running with the configuration as re-read")
	d.tidy()
}

// match finds, for each old door, the new one that means the same (-1: none): by name and everything it says, the
// n-th of equal ones to the n-th.
func match(old, next []*door) []int {
	mapping := make([]int, len(old))
	taken := make([]bool, len(next))
	byName := map[string][]int{}
	for i, d := range next {
		byName[d.Name] = append(byName[d.Name], i)
	}
	for i, d := range old {
		mapping[i] = -1
		for _, j := range byName[d.Name] {
			if !taken[j] && d.Same(next[j].Door) {
				mapping[i], taken[j] = j, true
				break
			}
		}
	}
	return mapping
}

// carryOver lets a door that stays the same keep its one-time file while a line of it is being marked: the file as
// loaded anew would not know of that yet. It reports whether there is one.
func (d *Daemon) carryOver(old, next []*door, mapping []int) (some bool) {
	for i, j := range mapping {
		if j < 0 || !old[i].marking {
			continue
		}
		next[j].oneTime, next[j].marking = old[i].oneTime, true
		next[j].Sequence = nil
		some = true
	}
	return some
}

// setSequence changes what opens a door, in engine and kernel.
func (d *Daemon) setSequence(door *door, sequence []packet.Port) {
	door.Sequence = sequence
	d.engine.SetSequence(door.index, sequence)
	// A copy: capture holds the old rules, and compares.
	d.compiled.rules = slices.Clone(d.compiled.rules)
	d.compiled.rules[door.index].Ports = sequence
	d.compiled.rules[door.index].Once = len(sequence) == 1
	d.listen()
}
