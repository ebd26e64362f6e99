package convert

import (
	"fmt"
	"time"
)

// pairedFor is for how long a door opens that was closed by another knock until now. It is long enough to log in, and what
// is established outlives it; another knock extends it.
const pairedFor = time.Hour

// decide settles what the effects come to together: doors that open and doors that close, and doors that stay and would
// find their port hidden. To keep one may be a reason to keep another, so it goes on until nothing changes.
func (c *conversion) decide() {
	for c.pair() || c.conflicts() {
		continue
	}
}

// pair finds for every door that opens for ever those that close it, and reports whether a door has to be kept after all.
func (c *conversion) pair() bool {
	kept := false
	opened, closers := c.items()
	for i := range c.doors {
		p := &c.doors[i]
		switch {
		case p.reason != "":
		case p.start.closes:
			if p.removed = all(p.start, opened); !p.removed {
				p.reason, kept = "it closes what no door opens that could be converted", true
			}
		case p.ownTime() == "" && p.start.timeout == 0 && !runs(p.door.Stop):
			p.openFor, p.closedBy = pairedFor, closer(p.start, closers)
			if p.closedBy == nil {
				p.reason, kept = forever(p.start), true
			}
		}
	}
	return kept
}

// items are what the doors to be converted open, and who closes what.
func (c *conversion) items() (opened, closers map[string]*plan) {
	opened, closers = map[string]*plan{}, map[string]*plan{}
	for i := range c.doors {
		p := &c.doors[i]
		if p.reason != "" {
			continue
		}
		into := opened
		if p.start.closes {
			into = closers
		}
		for _, item := range p.start.items() {
			into[item] = p
		}
	}
	return opened, closers
}

func all(e effect, by map[string]*plan) bool { return closer(e, by) != nil }

// closer returns the last of the doors that together have all of an effect, nil if they have not.
func closer(e effect, by map[string]*plan) *plan {
	var last *plan
	for _, item := range e.items() {
		if last = by[item]; last == nil {
			return nil
		}
	}
	return last
}

func forever(e effect) string {
	if e.set4 != nil || e.set6 != nil {
		return "nothing here says how long the knocker stays in the set: write Nft_Set and Open_For by hand"
	}
	return "it opens for ever and nothing closes: decide on a time, and write Open and Open_For by hand"
}

// conflicts keeps doors that would hide a port which a door that stays opens by its commands: our table drops before the
// rules of others let in. It reports whether there was one.
func (c *conversion) conflicts() bool {
	kept := false
	stays := c.mentions()
	for i := range c.doors {
		p := &c.doors[i]
		if p.reason != "" || p.removed {
			continue
		}
		for j := range stays {
			if port, ok := stays[j].about(p.start.ports); ok {
				kept = true
				p.reason = fmt.Sprintf("[%s] on line %d stays as it is, and what its command does to %s would come to nothing behind a native door",
					stays[j].door.Name, stays[j].door.Line, port)
				break
			}
		}
	}
	return kept
}
