package daemon

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"knockd/internal/config"
	"knockd/internal/control"
	"knockd/internal/firewall"
)

// rehearsal is who used the ports of doors with Hide = rehearse, and how.
type rehearsal struct {
	// Began is when it was begun; a rehearsal goes on over restarts.
	Began time.Time
	Users map[string]*rehearsed
	// poll is the next look at the kernel's record.
	poll  *entry
	saved time.Time // of no account on disk
}

// rehearsed is one source at one door.
type rehearsed struct {
	Door, Source string
	Knocked      bool
	First, Last  time.Time
	// Times counts the minutes in which it would have been locked out, Days the days, Hours the local hours (a bit
	// each).
	Times, Days int
	Hours       uint32
}

const (
	rehearsalFile = "rehearsal.json"
	rehearsalPoll = time.Minute
	// rehearsedMost bounds the memory: a port on rehearsal is open to anybody.
	rehearsedMost = 65536
	// rehearsalSave is how often the record goes to the disk: a crash loses no more.
	rehearsalSave = time.Hour
)

func (l *loaded) rehearses() bool {
	return slices.ContainsFunc(l.doors, func(d *door) bool { return d.Hide == config.HideRehearse && len(d.Open) > 0 })
}

// planRehearsal begins or ends the record as the doors in force ask for.
func (d *Daemon) planRehearsal() {
	if !d.conf.rehearses() || d.native.fw == nil {
		if d.rehearsal != nil {
			d.agenda.cancel(d.rehearsal.poll)
			d.rehearsal = nil
		}
		return
	}
	if d.rehearsal == nil {
		d.rehearsal = readRehearsal(d.stateDirs())
	}
	d.agenda.cancel(d.rehearsal.poll)
	d.pollRehearsal(nil)
}

// pollRehearsal reads the kernel's record, and plans the next look.
func (d *Daemon) pollRehearsal(then func()) {
	r, fw := d.rehearsal, d.native.fw
	var seen []firewall.Seen
	d.native.work.submit(
		func(ctx context.Context) (err error) { seen, err = fw.Rehearsed(ctx); return err },
		func(err error) {
			if err != nil {
				d.say.linef("reading the rehearsal: %v", err)
			}
			r.add(seen, time.Now())
			if then != nil {
				then()
			}
		})
	d.agenda.cancel(r.poll)
	r.poll = d.agenda.at(d.clock.Now()+rehearsalPoll, func(time.Duration) { d.pollRehearsal(d.saveRehearsal) })
}

// add takes over what the kernel recorded: visits since the last look.
func (r *rehearsal) add(seen []firewall.Seen, now time.Time) {
	for _, s := range seen {
		u := r.user(s.Door, s.Source)
		at := now.Add(-s.Ago)
		if u == nil || !at.After(u.Last.Add(rehearsalPoll/2)) && u.Times > 0 {
			continue
		}
		if u.Times == 0 || at.Format(time.DateOnly) != u.Last.Format(time.DateOnly) {
			u.Days++
		}
		if u.Times == 0 {
			u.First = at
		}
		u.Times++
		u.Last = at
		u.Hours |= 1 << at.Hour()
	}
}

func (r *rehearsal) user(door string, source netip.Addr) *rehearsed {
	key := door + "\x00" + source.String()
	u := r.Users[key]
	if u == nil && len(r.Users) < rehearsedMost {
		u = &rehearsed{Door: door, Source: source.String()}
		r.Users[key] = u
	}
	return u
}

// rehearsedKnock notes that somebody knocked.
func (d *Daemon) rehearsedKnock(door *door, ip netip.Addr) {
	if d.rehearsal == nil || door.Hide != config.HideRehearse {
		return
	}
	if u := d.rehearsal.user(door.Name, ip); u != nil {
		u.Knocked = true
		if u.First.IsZero() {
			u.First = time.Now()
		}
	}
}

func readRehearsal(dirs []string) *rehearsal {
	for _, dir := range dirs {
		text, err := readPrivate(filepath.Join(dir, rehearsalFile))
		if err != nil {
			continue
		}
		r := &rehearsal{}
		if json.Unmarshal(text, r) == nil && r.Users != nil && !r.Began.IsZero() {
			return r
		}
	}
	return &rehearsal{Began: time.Now(), Users: map[string]*rehearsed{}}
}

// saveRehearsal writes the record when it was not written for a while.
func (d *Daemon) saveRehearsal() {
	r := d.rehearsal
	if r == nil || time.Since(r.saved) < rehearsalSave {
		return
	}
	r.saved = time.Now()
	d.writeRehearsal()
}

func (d *Daemon) writeRehearsal() {
	text, err := json.Marshal(d.rehearsal)
	if err != nil {
		return
	}
	dirs := d.stateDirs()
	d.onFiles(func(context.Context) (err error) {
		for _, dir := range dirs {
			if err = writePrivate(dir, rehearsalFile, text); err == nil {
				return nil
			}
		}
		return err
	}, func(err error) {
		if err != nil {
			d.say.linef("warning: the rehearsal is not kept over a restart: %v", err)
		}
	})
}

// rehearsedVerb tells who used the ports, who had knocked, and who would have been locked out.
func (d *Daemon) rehearsedVerb(_ control.Request, answer reply) {
	if d.rehearsal == nil {
		answer(nil, &HintedError{
			Err:  errors.New("no door is on rehearsal"),
			Hint: "set Hide = rehearse in a door with Open, knockd reload, and ask again after a day or more",
		})
		return
	}
	d.pollRehearsal(func() { answer(d.rehearsal.report(d.conf), nil) })
}

func (r *rehearsal) report(conf *loaded) control.Rehearsal {
	out := control.Rehearsal{Since: time.Since(r.Began).Round(time.Second), Users: []control.User{}}
	for _, d := range conf.doors {
		if d.Hide == config.HideRehearse && len(d.Open) > 0 {
			out.Doors = append(out.Doors, d.Name)
		}
	}
	for _, u := range r.Users {
		out.Users = append(out.Users, control.User{
			Door: u.Door, Source: u.Source, Knocked: u.Knocked, Times: u.Times, Days: u.Days,
			Hours: hoursOf(u.Hours), First: u.First, Last: u.Last,
		})
	}
	slices.SortFunc(out.Users, func(a, b control.User) int {
		return cmp.Or(b.Times-a.Times, cmp.Compare(a.Source, b.Source), cmp.Compare(a.Door, b.Door))
	})
	return out
}

func hoursOf(bits uint32) []int {
	hours := []int{}
	for h := range 24 {
		if bits&(1<<h) != 0 {
			hours = append(hours, h)
		}
	}
	return hours
}
