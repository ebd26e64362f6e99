package convert

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

func (c *conversion) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(c.notes, text) {
		c.notes = append(c.notes, text)
	}
}

// explain says what the converted doors do differently, and what they ask of the rest of the firewall.
func (c *conversion) explain() {
	hides, told := false, map[*plan]bool{}
	for i := range c.doors {
		p := &c.doors[i]
		switch {
		case p.reason != "" || p.removed:
			continue
		case len(p.start.ports) > 0:
			hides = true
		default:
			c.note("[%s] fills the set %s with a timeout: the set needs flags timeout, which knockd check looks at", p.door.Name, p.start.setNames())
		}
		if p.closedBy != nil {
			told[p.closedBy] = true
			c.note("[%s] opened until a knock at [%s], and now closes by itself after %s, so that knock is gone: connections that are established outlive the time, another knock extends it, and Open_For is yours to choose",
				p.door.Name, p.closedBy.door.Name, short(p.openFor))
		}
	}
	c.explainRemoved(told)
	if hides {
		c.explainHiding()
	}
}

// explainRemoved tells of doors that are gone, and were not told of with those that they closed.
func (c *conversion) explainRemoved(told map[*plan]bool) {
	for i := range c.doors {
		if p := &c.doors[i]; p.reason == "" && p.removed && !told[p] {
			c.note("[%s] only closed what now closes by itself, and is gone", p.door.Name)
		}
	}
}

func (c *conversion) explainHiding() {
	c.note("a native door hides its ports itself, over IPv4 and IPv6, from everybody who has not knocked: name those that come without a knock today in Always_Allow, and let the rest of your firewall accept the ports (knockd check names the rule that would still drop)")
	c.note("connections that are established outlive Open_For, and a converted door has decoys: a port scan no longer opens it by chance (Decoys = 0 is the old way)")
	if names := c.opaque(); len(names) > 0 {
		c.note("what %s runs is not understood: if it opens a port that is hidden now, it opens nothing any more", strings.Join(names, ", "))
	}
}

// opaque names the doors that stay and run what is not known.
func (c *conversion) opaque() []string {
	var names []string
	for i := range c.doors {
		if p := &c.doors[i]; p.opaque && p.door.Disabled == "" {
			names = append(names, "["+p.door.Name+"]")
		}
	}
	return names
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
