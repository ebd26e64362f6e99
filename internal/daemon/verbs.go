package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"knockd/internal/command"
	"knockd/internal/control"
)

// reply answers one call, now or later.
type reply func(result any, err error)

// verbsOfSocket are what the control socket understands.
func (d *Daemon) verbsOfSocket() map[string]func(request control.Request, answer reply) {
	return map[string]func(control.Request, reply){
		control.VerbReload: func(_ control.Request, answer reply) {
			d.startReload(func(err error) { answer(nil, stays(err)) })
		},
		control.VerbStatus:    d.statusVerb,
		control.VerbOpen:      d.openVerb,
		control.VerbClose:     d.closeVerb,
		control.VerbUnhide:    d.unhideVerb,
		control.VerbTry:       d.tryVerb,
		control.VerbConfirm:   d.confirmVerb,
		control.VerbRehearsed: d.rehearsedVerb,
	}
}

func stays(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the running configuration stays: %w", err)
}

// doorArgs reads the door and the source that a verb names.
func (d *Daemon) doorArgs(request control.Request) (*door, netip.Addr, time.Duration, error) {
	var args control.DoorArgs
	if err := json.Unmarshal(request.Args, &args); err != nil {
		return nil, netip.Addr{}, 0, fmt.Errorf("reading the arguments: %w", err)
	}
	ip, err := netip.ParseAddr(args.Source)
	if err != nil {
		return nil, ip, 0, &HintedError{Err: fmt.Errorf("%q is no IP address", args.Source), Hint: "knockd open DOOR IP [FOR]"}
	}
	ip = ip.Unmap().WithZone("")
	if args.For < 0 || args.For > maxOpenFor {
		return nil, ip, 0, fmt.Errorf("a door opens for at most %s", maxOpenFor)
	}
	door, err := d.doorNamed(args.Door)
	return door, ip, args.For, err
}

// maxOpenFor bounds what `knockd open` may ask for.
const maxOpenFor = 30 * 24 * time.Hour

func (d *Daemon) doorNamed(name string) (*door, error) {
	var names []string
	for _, door := range d.conf.doors {
		if door.Name == name {
			return door, nil
		}
		if len(names) < 10 {
			names = append(names, door.Name)
		}
	}
	return nil, &HintedError{Err: fmt.Errorf("there is no door %q", name), Hint: "the doors are: " + strings.Join(names, ", ")}
}

// openVerb lets a source in without a knock: a native door for a while, a door with commands as a knock would.
func (d *Daemon) openVerb(request control.Request, answer reply) {
	door, ip, length, err := d.doorArgs(request)
	if err != nil {
		answer(nil, err)
		return
	}
	if !door.Native() {
		d.openCommands(door, ip, length, request.UID, answer)
		return
	}
	if length == 0 {
		length = door.OpenFor
	}
	d.say.about(ip, fmt.Sprintf("%s: opened by hand (user %d)", door.Name, request.UID))
	d.grant(door, ip, length, func(err error) {
		answer(control.Done{Message: fmt.Sprintf("%s: %s open for %s, for %s", door.Name, opens(door), ip, length)}, err)
	})
}

// openCommands runs the start command of a door as a knock would.
func (d *Daemon) openCommands(door *door, ip netip.Addr, length time.Duration, uid uint32, answer reply) {
	start, err := command.Expand(door.Start.For(ip), ip)
	switch {
	case err != nil:
		answer(nil, err)
	case start == "":
		answer(nil, fmt.Errorf("%s has no start command for %s", door.Name, ip))
	case length != 0:
		answer(nil, &HintedError{Err: fmt.Errorf("%s opens by a command: its Cmd_Timeout says for how long", door.Name), Hint: "knockd open " + door.Name + " " + ip.String()})
	default:
		d.say.about(ip, fmt.Sprintf("%s: opened by hand (user %d)", door.Name, uid))
		d.runStart(door, ip)
		answer(control.Done{Message: fmt.Sprintf("%s: the start command runs for %s", door.Name, ip)}, nil)
	}
}

// closeVerb ends what a source was let in to: the grant, and what a start command opened.
func (d *Daemon) closeVerb(request control.Request, answer reply) {
	door, ip, _, err := d.doorArgs(request)
	if err != nil {
		answer(nil, err)
		return
	}
	closed := d.closeOpenings(door.Name, ip)
	_, known := d.native.grants.until[granted{door.Name, admitted(door, ip)}]
	done := control.Done{Message: fmt.Sprintf("%s: closed for %s", door.Name, ip)}
	switch {
	case door.Native():
		if !known && !closed {
			// The kernel may know better: it is asked all the same.
			done.Message = fmt.Sprintf("%s: not known to be open for %s, and closed now", door.Name, ip)
		}
		d.revoke(door, ip, func(err error) { answer(done, err) })
	case closed:
		answer(done, nil)
	default:
		answer(nil, fmt.Errorf("%s is not open for %s", door.Name, ip))
	}
}

// closeOpenings runs the stop commands of a source at a door now.
func (d *Daemon) closeOpenings(name string, ip netip.Addr) bool {
	closed := false
	for _, o := range d.openings.byID {
		if o.door == name && o.ip == ip && o.begun && !o.stopped && !o.survivor {
			d.agenda.cancel(o.closing)
			d.close(o)
			closed = true
		}
	}
	return closed
}

// errNotHidden is returned where nothing is hidden and so nothing can be opened.
var errNotHidden = errors.New("nothing is hidden now: after knockd unhide, knockd reload hides again")

// unhideVerb shows every port until the next reload or start.
func (d *Daemon) unhideVerb(request control.Request, answer reply) {
	if d.native.fw == nil {
		answer(control.Done{Message: "nothing was hidden"}, nil)
		return
	}
	d.endTrial()
	d.say.linef("unhide (user %d): every port is shown until the next reload", request.UID)
	d.show(func(err error) {
		answer(control.Done{Message: "every port is shown", Hint: "knockd reload hides them again"}, err)
	})
}

// show shows every port until the next reload; then is called with the outcome.
func (d *Daemon) show(then func(error)) {
	n := d.native
	n.unhidden = true
	n.grants = newGrants()
	d.agenda.cancel(n.renewal)
	if n.fw == nil {
		then(nil)
		return
	}
	ok := n.work.submit(n.fw.Remove, func(err error) {
		if err != nil {
			d.say.linef("showing the ports: %v", err)
		}
		then(err)
	})
	if !ok {
		then(errBusy)
	}
}
