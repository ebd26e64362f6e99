package daemon

import (
	"net/netip"
	"time"

	"knockd/internal/knock"
)

// knocker is a source at a door, by the door's name: it means the same after a reload.
type knocker struct {
	door string
	ip   netip.Addr
}

// happened does what an event of the engine asks for.
func (d *Daemon) happened(e knock.Event) {
	door := d.conf.doors[e.Door]
	switch e.Kind {
	case knock.Stage:
		d.say.stage(door.Name, e)
	case knock.TimedOut:
		d.say.timeout(door.Name, e)
	case knock.Opened:
		d.say.stage(door.Name, e) // the last stage is one, as in the reference
		d.knocked(door, e.Source, e.Time)
	}
}

// knocked follows a complete knock. A one-time sequence is on disk as used before anything opens.
func (d *Daemon) knocked(door *door, ip netip.Addr, at time.Duration) {
	if d.cooling.holds(knocker{door.Name, ip}, at) {
		return
	}
	if door.oneTime != nil {
		d.useSequence(door, ip)
		return
	}
	d.open(door, ip)
}

// open says so, and does what the door does.
func (d *Daemon) open(door *door, ip netip.Addr) {
	if d.stopping {
		d.say.about(ip, door.Name+": not opened, knockd is shutting down")
		return
	}
	d.say.about(ip, door.Name+": OPEN SESAME")
	d.cooling.start(knocker{door.Name, ip}, d.clock.Now(), door.Cooldown)
	if door.Native() {
		d.rehearsedKnock(door, ip)
		d.grant(door, ip, door.OpenFor, nil)
	}
	d.runStart(door, ip)
}

// cooldowns are the knockers whose knocks do nothing for a while.
type cooldowns struct {
	until map[knocker]time.Duration
}

// coolingMost bounds the memory of cooldowns: who knows the sequence is no stranger, but may come from anywhere.
const coolingMost = 65536

func (c *cooldowns) holds(k knocker, now time.Duration) bool {
	until, ok := c.until[k]
	return ok && now < until
}

func (c *cooldowns) start(k knocker, now, d time.Duration) {
	if d <= 0 {
		return
	}
	if len(c.until) >= coolingMost {
		c.forget(now)
	}
	if len(c.until) < coolingMost {
		c.until[k] = now + d
	}
}

func (c *cooldowns) forget(now time.Duration) {
	for k, until := range c.until {
		if until <= now {
			delete(c.until, k)
		}
	}
}
