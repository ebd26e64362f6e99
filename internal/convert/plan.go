package convert

import (
	"time"

	"knockd/internal/config"
)

// plan is what becomes of one door.
type plan struct {
	door *config.Door
	// start is what its start command opens or closes, stop what its stop command does.
	start, stop effect
	// reason is why it is kept, empty if it is converted.
	reason string
	// opaque is set where a command of a door that is kept could not be understood.
	opaque bool
	// openFor is the native door's time. removed is set for a door that only closes what others open, closedBy for the one
	// that closes this one.
	openFor  time.Duration
	removed  bool
	closedBy *plan
}

// understand looks at one door by itself.
func understand(d *config.Door) plan {
	p := plan{door: d}
	var why string
	if p.start, why = effectOf(d.Start); why == "" && runs(d.Stop) {
		if p.stop, why = effectOf(d.Stop); why != "" {
			why = "of its stop command: " + why
		}
	}
	p.opaque = why != "" && runs(d.Start)
	if p.reason = obstacle(d); p.reason == "" {
		p.reason = why
	}
	if p.reason == "" {
		p.reason = p.ownTime()
	}
	return p
}

func runs(c config.Command) bool { return c.V4 != "" || c.V6 != "" }

// obstacle is what of a door beside its commands keeps it from being native.
func obstacle(d *config.Door) string {
	switch {
	case d.Native():
		return "it is native already"
	case d.Disabled != "":
		return "it never opens: " + d.Disabled
	case !runs(d.Start):
		return "it runs no command"
	case d.Target.IsValid():
		return "it has a Target, and a native door opens ports of this machine alone"
	case d.OnRepeat != config.RepeatRun || d.Cooldown != 0:
		return "it has On_Repeat or Cooldown, which are about commands"
	case d.Start.HasV6 && d.Start.V6 == "" || runs(d.Stop) && d.Stop.HasV6 && d.Stop.V6 == "":
		return "it runs nothing for knockers on IPv6, and a native door opens to them too"
	default:
		return ""
	}
}

// ownTime finds how long the door opens by what it says itself: its stop command, or a timeout of the firewall. One that
// says neither opens for ever, and is left to pairs.
func (p *plan) ownTime() string {
	switch {
	case p.start.closes && runs(p.door.Stop):
		return "its start command closes and its stop command opens"
	case p.start.closes:
		return ""
	case runs(p.door.Stop) && !(p.stop.closes && p.stop.same(p.start)):
		return "its stop command does not undo exactly what its start command does"
	case runs(p.door.Stop) && p.door.CmdTimeout <= 0:
		return "its stop command follows at once"
	case runs(p.door.Stop):
		p.openFor = p.door.CmdTimeout
	}
	if t := p.start.timeout; t > 0 && (p.openFor == 0 || t < p.openFor) {
		p.openFor = t
	}
	return ""
}

// sameNames keeps doors of one name: grants are kept by it.
func (c *conversion) sameNames() {
	count := map[string]int{}
	for i := range c.doors {
		count[c.doors[i].door.Name]++
	}
	for i := range c.doors {
		if p := &c.doors[i]; p.reason == "" && count[p.door.Name] > 1 {
			p.reason = "another door has the same name, and native doors must be told apart"
		}
	}
}
