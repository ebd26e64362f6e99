package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"knockd/internal/capture"
	"knockd/internal/config"
	"knockd/internal/filter"
	"knockd/internal/link"
)

// follower is what the daemon knows of the interfaces.
type follower struct {
	state link.State
	// known is set once the first state has come.
	known bool
	want  wanted
	// attached names the interfaces that are listened on.
	attached map[string]bool
	// said is the last line about missing interfaces, so that it is said once.
	said string
	// started is set once `starting up` has been said.
	started bool
	// backend is how packets come, for status.
	backend string
}

// linksAre follows a change of the interfaces.
func (d *Daemon) linksAre(state link.State) {
	d.follow.state, d.follow.known = state, true
	d.listen()
}

// interfaceNames are what -i or the file asks for.
func (d *Daemon) interfaceNames() []string {
	if d.settings.Interface != "" {
		return strings.Split(d.settings.Interface, ",")
	}
	return d.conf.conf.Options.Interfaces
}

// listen tells engine and capture which addresses are ours and where to listen, as things stand.
func (d *Daemon) listen() {
	if !d.follow.known {
		return
	}
	f := &d.follow
	f.want = resolve(d.interfaceNames(), f.state)
	own := ownAddresses(f.state, f.want, d.settings.IPv4Only)
	d.engine.SetOwn(own)
	want := capture.Want{
		Any: f.want.any, Backend: d.conf.conf.Options.Capture,
		FloodThreshold: d.conf.conf.Options.FloodThreshold,
		Spec:           filter.Spec{Own: own, Rules: d.compiled.rules, Decoys: d.compiled.decoys},
	}
	for _, l := range f.want.present {
		if l.Up {
			want.Interfaces = append(want.Interfaces, capture.Interface{Name: l.Name, Index: l.Index})
		}
	}
	d.capture.Set(want)
	d.sayMissing()
}

// sayMissing tells, once for each change, what is waited for.
func (d *Daemon) sayMissing() {
	f := &d.follow
	line := ""
	if len(f.want.missing) > 0 {
		line = fmt.Sprintf("waiting for %s (present: %s)", strings.Join(f.want.missing, ", "), presentNames(f.state))
	}
	for _, l := range f.want.present {
		if !l.Up && line == "" {
			line = fmt.Sprintf("waiting for %s to come up", l.Name)
		}
	}
	if line != f.said && line != "" {
		d.say.line(line)
	}
	f.said = line
	if line != "" {
		d.becomeReady("waiting for its interface")
	}
}

// captureSays follows what the capture reports of its sockets.
func (d *Daemon) captureSays(e capture.Event) {
	switch e.Kind {
	case capture.Attached:
		d.isAttached(e.Interface)
	case capture.Detached:
		if d.follow.attached[e.Interface] {
			delete(d.follow.attached, e.Interface)
			d.say.line(fmt.Sprintf("%s is gone, not listening on it", e.Interface))
		}
	case capture.Failed:
		d.captureFailed(e)
	case capture.BackendChosen:
		d.backendIs(e)
	}
}

// backendIs says once how packets come from the kernel, and why.
func (d *Daemon) backendIs(e capture.Event) {
	d.follow.backend = e.Backend.String()
	line := "capturing with the " + e.Backend.String() + " backend"
	if e.Err != nil {
		line += fmt.Sprintf(" (%v)", e.Err)
	}
	d.say.line(line)
}

func (d *Daemon) isAttached(name string) {
	f := &d.follow
	if f.attached[name] {
		return
	}
	f.attached[name] = true
	switch {
	case f.started:
		d.say.line("listening on " + name)
	case f.allAttached():
		f.started = true
		d.say.line("starting up, listening on " + f.want.names())
		d.say.stdoutOnly(fmt.Sprintf("listening on %s...", f.want.names()))
		d.becomeReady("listening on " + f.want.names())
	}
}

// allAttached reports whether every interface that is wanted and up is listened on.
func (f *follower) allAttached() bool {
	return f.want.any || !slices.ContainsFunc(f.want.present, func(l link.Link) bool {
		return l.Up && !f.attached[l.Name]
	})
}

func (d *Daemon) captureFailed(e capture.Event) {
	if errors.Is(e.Err, capture.ErrCapability) && !d.follow.started {
		d.fail(e.Err)
		return
	}
	if e.Interface == "" {
		// The backend itself: where the configuration asks for one that does not work here, nothing ever will.
		if !d.follow.started && d.conf.conf.Options.Capture != config.CaptureAuto {
			d.fail(e.Err)
			return
		}
		d.say.linef("capture: %v (trying again)", e.Err)
		return
	}
	d.say.linef("can't listen on %s: %v (trying again)", e.Interface, e.Err)
}

// becomeReady tells systemd and the waiting parent, once, that the daemon does its work.
func (d *Daemon) becomeReady(status string) {
	if d.notifier.isReady || d.ending {
		return
	}
	if err := d.takePidFile(); err != nil {
		d.fail(err)
		return
	}
	d.notifier.isReady = true
	d.tidy()
	d.notifier.ready(status)
	if d.settings.Ready != nil {
		d.settings.Ready()
	}
}
