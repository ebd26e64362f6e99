// Package convert turns doors that run firewall commands into native ones: text to text, as a diff.
//
// It is pure. A door that it does not understand fully it leaves as it is, and says why. How native doors work belongs to
// package firewall.
package convert

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"knockd/internal/config"
)

// Result is a conversion.
type Result struct {
	// Diff is the change as a unified diff, empty if there is none.
	Diff string `json:"diff"`
	// Converted are the doors that became native, or went because they only closed what now closes by itself.
	Converted []string `json:"converted"`
	Kept      []Kept   `json:"kept"`
	// NewText is the whole new file.
	NewText []byte `json:"-"`
	// Notes are what to know before it is used.
	Notes []string `json:"notes"`
}

// Kept is a door that is left as it is.
type Kept struct {
	Door string `json:"door"`
	// Line is that of its header, from 1.
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

// pairedFor is for how long a door opens that was closed by another knock until now. One that is opened for longer work is
// opened anew by another knock, and what is established outlives the grant.
const pairedFor = time.Hour

// Convert reads a configuration and returns what its native form is. The error is that of config.Parse: a file that does
// not load is not converted.
func Convert(path string, text []byte) (*Result, error) {
	conf, err := config.Parse(path, text)
	if err != nil {
		return nil, err
	}
	c := &conversion{file: split(string(text)), doors: make([]plan, len(conf.Doors))}
	for i := range conf.Doors {
		c.doors[i] = c.understand(&conf.Doors[i], conf.Doors)
	}
	c.pair()
	return c.result(path, text), nil
}

// conversion is one file being converted.
type conversion struct {
	file  file
	doors []plan
	notes []string
}

// plan is what becomes of one door.
type plan struct {
	door *config.Door
	// opens is what its start command opens, and stops what its stop command closes.
	start, stop effect
	// reason is why it is kept, empty if it is converted.
	reason string
	// openFor is the native door's time; removed is set for a door that only closes what another opens.
	openFor time.Duration
	removed bool
}

// understand looks at one door by itself.
func (c *conversion) understand(d *config.Door, all []config.Door) plan {
	p := plan{door: d}
	p.reason = p.obstacle(all)
	if p.reason != "" {
		return p
	}
	if p.start, p.reason = effectOf(d.Start); p.reason != "" {
		return p
	}
	if d.Stop.V4 != "" || d.Stop.V6 != "" {
		p.stop, p.reason = effectOf(d.Stop)
	}
	return p
}

// obstacle is what of a door beside its commands keeps it from being native.
func (p *plan) obstacle(all []config.Door) string {
	d := p.door
	same := 0
	for i := range all {
		if all[i].Name == d.Name {
			same++
		}
	}
	switch {
	case d.Native():
		return "it is native already"
	case d.Disabled != "":
		return "it never opens: " + d.Disabled
	case d.Start.V4 == "" && d.Start.V6 == "":
		return "it runs no command"
	case d.Target.IsValid():
		return "it has a Target, and a native door opens ports of this machine alone"
	case same > 1:
		return "another door has the same name, and native doors must be told apart"
	case d.OnRepeat != config.RepeatRun || d.Cooldown != 0:
		return "it has On_Repeat or Cooldown, which are about commands"
	default:
		return ""
	}
}

// pair decides what the effects come to, door by door and in pairs of one that opens and one that closes.
func (c *conversion) pair() {
	for i := range c.doors {
		p := &c.doors[i]
		if p.reason != "" || p.start.closes {
			continue
		}
		switch {
		case p.start.timeout > 0 && p.stop.empty():
			p.openFor = p.start.timeout
		case !p.stop.empty() && p.stop.closes && p.stop.same(p.start):
			p.openFor = p.door.CmdTimeout
		case !p.stop.empty():
			p.reason = "its stop command does not undo exactly what its start command does"
		default:
			c.pairWith(p)
		}
		if p.reason == "" && p.openFor <= 0 {
			p.reason = "it closes at once"
		}
	}
	for i := range c.doors {
		if p := &c.doors[i]; p.reason == "" && p.start.closes && !p.removed {
			p.reason = "it closes what no door opens that could be converted"
		}
	}
}

// pairWith looks for the door that closes what p opens for ever.
func (c *conversion) pairWith(p *plan) {
	for i := range c.doors {
		q := &c.doors[i]
		if q.reason == "" && q.start.closes && !q.removed && q.stop.empty() && q.start.same(p.start) {
			q.removed = true
			p.openFor = pairedFor
			c.note("[%s] opens for %s now and closes by itself, so [%s] is gone: what is established outlives the time, and another knock extends it", p.door.Name, short(pairedFor), q.door.Name)
			return
		}
	}
	p.reason = "it opens for ever and nothing closes: decide on a time, and write Open and Open_For by hand"
}

func (c *conversion) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(c.notes, text) {
		c.notes = append(c.notes, text)
	}
}

func (c *conversion) result(path string, text []byte) *Result {
	r := &Result{Converted: []string{}, Kept: []Kept{}}
	for i := range c.doors {
		p := &c.doors[i]
		if p.reason != "" {
			r.Kept = append(r.Kept, Kept{Door: p.door.Name, Line: p.door.Line, Reason: p.reason})
			continue
		}
		r.Converted = append(r.Converted, p.door.Name)
		c.file.rewrite(p)
		c.explain(p)
	}
	r.NewText = []byte(c.file.String())
	if len(r.Converted) > 0 {
		r.Diff = string(diff.Diff(path, text, path+" (native)", r.NewText))
	}
	r.Notes = c.notes
	if r.Notes == nil {
		r.Notes = []string{}
	}
	return r
}

// explain says what a converted door asks of the rest of the firewall.
func (c *conversion) explain(p *plan) {
	switch {
	case p.removed:
	case p.start.set != nil:
		c.note("the set %s needs flags timeout: knockd check looks at it", p.start.set)
	default:
		c.note("a native door hides its port itself: your firewall must then accept the port from everybody (knockd check names the rule that would still drop)")
	}
}

// short prints a time as the configuration has it: 90s, 10m, 1h.
func short(d time.Duration) string {
	switch {
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	default:
		return fmt.Sprintf("%ds", (d+time.Second-1)/time.Second)
	}
}

// ports prints what is opened as the Open directive has it.
func (e effect) String() string {
	parts := make([]string, len(e.ports))
	for i, p := range e.ports {
		parts[i] = p.String()
	}
	return strings.Join(parts, ",")
}
