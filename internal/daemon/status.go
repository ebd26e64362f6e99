package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"knockd/internal/config"
	"knockd/internal/control"
	"knockd/internal/firewall"
	"knockd/internal/version"
)

// statusVerb tells what the daemon does. Who is in at native doors is read from the kernel, which alone knows.
func (d *Daemon) statusVerb(_ control.Request, answer reply) {
	s := d.status()
	n := d.native
	if n.fw == nil {
		answer(s.Status, nil)
		return
	}
	var list []firewall.Grant
	fw := n.fw
	ok := n.work.submit(
		func(ctx context.Context) (err error) { list, err = fw.List(ctx); return err },
		func(err error) {
			if err != nil {
				s.Warnings = append(s.Warnings, fmt.Sprintf("who is let in can't be read from the kernel: %v", err))
			}
			s.addGrants(list)
			answer(s.Status, nil)
		})
	if !ok {
		answer(nil, errBusy)
	}
}

// statusOf is a Status being filled.
type statusOf struct{ control.Status }

func (d *Daemon) status() *statusOf {
	captured, engine := d.capture.Stats(), d.engine.Stats()
	s := &statusOf{control.Status{
		Daemon: version.Version, PID: os.Getpid(), Config: d.settings.ConfigPath, Warnings: d.warnings(),
		Uptime:     d.clock.Now() - d.startedAt,
		Interfaces: d.follow.status(),
		Backend:    d.follow.backend,
		Capture: control.CaptureStatus{
			Received: captured.Received, Dropped: captured.Dropped, Refused: captured.RefusedTotal(), Held: captured.Held,
		},
		Engine: control.EngineStatus{Sources: engine.Sources, Evicted: engine.Evicted},
		Hidden: d.hiddenNow(),
	}}
	if d.trial != nil {
		s.Trial, s.TrialBegan = d.trial.until-d.clock.Now(), d.trial.began
	}
	for _, door := range d.conf.doors {
		s.Doors = append(s.Doors, d.doorStatus(door))
	}
	return s
}

// warnings are what an operator has to act on.
func (d *Daemon) warnings() []string {
	var list []string
	if d.lastGood != nil && d.trial == nil {
		list = append(list, fmt.Sprintf("runs the last good configuration: %v", d.lastGood))
	}
	if d.native.unhidden {
		list = append(list, "every port is shown since knockd unhide: knockd reload hides them again")
	}
	if d.native.broken != "" {
		list = append(list, d.native.broken)
	}
	return append(list, d.ledger.warnings()...)
}

// hiddenNow are the ports that the rules in force hide.
func (d *Daemon) hiddenNow() []string {
	hidden := []string{}
	if d.native.fw == nil || d.native.unhidden {
		return hidden
	}
	for _, door := range d.conf.doors {
		for _, r := range door.Open {
			if text := r.String(); !slices.Contains(hidden, text) && door.Hide != config.HideRehearse {
				hidden = append(hidden, text)
			}
		}
	}
	return hidden
}

func (d *Daemon) doorStatus(door *door) control.DoorStatus {
	s := control.DoorStatus{Name: door.Name, Kind: "command", Opens: opens(door), Disabled: door.Disabled}
	switch {
	case door.Disabled != "":
		s.Kind = "disabled"
	case len(door.Open) > 0:
		s.Kind, s.Hide = "native", door.Hide.String()
	case door.Native():
		s.Kind = "set"
	}
	if door.oneTime != nil {
		left := len(door.oneTime.Remaining())
		s.Sequences = &left
	}
	for _, o := range d.openings.byID {
		if o.door == door.Name {
			s.Open = append(s.Open, control.GrantStatus{Source: o.ip.String(), Left: o.left(d.clock.Now())})
		}
	}
	return s
}

// left is the time until the stop command, -1 while the start command runs.
func (o *opening) left(now time.Duration) time.Duration {
	if o.closing == nil {
		return -1
	}
	return max(o.closing.at-now, 0)
}

// addGrants adds what the kernel's sets hold, sorted by address.
func (s *statusOf) addGrants(list []firewall.Grant) {
	slices.SortFunc(list, func(a, b firewall.Grant) int { return comparePrefixes(a.Prefix, b.Prefix) })
	for _, g := range list {
		i := slices.IndexFunc(s.Doors, func(d control.DoorStatus) bool { return d.Name == g.Door })
		if i < 0 {
			continue
		}
		source := g.Prefix.String()
		if g.Prefix.IsSingleIP() {
			source = g.Prefix.Addr().String()
		}
		s.Doors[i].Open = append(s.Doors[i].Open, control.GrantStatus{Source: source, Left: g.Left})
	}
}

func comparePrefixes(a, b netip.Prefix) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Bits() - b.Bits()
}

// status is what is listened on.
func (f *follower) status() []control.InterfaceStatus {
	list := []control.InterfaceStatus{}
	add := func(name, state string) {
		list = append(list, control.InterfaceStatus{Name: name, State: state})
	}
	if f.want.any {
		add(anyInterface, listeningState(f.attached[anyInterface]))
	}
	for _, l := range f.want.present {
		state := listeningState(f.attached[l.Name])
		if !l.Up {
			state = "down"
		}
		add(l.Name, state)
	}
	for _, name := range f.want.missing {
		add(name, "missing")
	}
	return list
}

func listeningState(attached bool) string {
	if attached {
		return "listening"
	}
	return "waiting"
}
