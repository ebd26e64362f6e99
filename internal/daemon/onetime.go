package daemon

import (
	"context"
	"fmt"
	"net/netip"

	"knockd/internal/onetime"
)

// useSequence marks the door's current sequence as used. The door is shut to everybody while that is on its way to the
// disk, opens for ip once it is there, and goes on with the next sequence.
func (d *Daemon) useSequence(door *door, ip netip.Addr) {
	if door.marking {
		return
	}
	door.marking = true
	d.setSequence(door, nil)
	file := door.oneTime
	ok := d.files.submit(
		func(context.Context) error { return file.Use() },
		func(err error) { d.sequenceUsed(door.Name, file, ip, err) })
	if !ok {
		door.marking = false
		d.say.line(fmt.Sprintf("%s: too much to write at once, the knock of %s is not answered", door.Name, ip))
		d.nextSequence(door)
	}
}

// sequenceUsed goes on after the disk has answered. The door is looked up anew: a reload may have come between.
func (d *Daemon) sequenceUsed(name string, file *onetime.File, ip netip.Addr, err error) {
	door := d.doorWithFile(name, file)
	if err != nil {
		d.say.about(ip, fmt.Sprintf("%s: not opened: the used sequence can't be marked in its file: %v", name, err))
	}
	if door == nil {
		return // the reload took the door away, or gave it another file
	}
	door.marking = false
	if err == nil {
		d.open(door, ip)
	}
	d.nextSequence(door)
}

// nextSequence makes the file's next usable line current, or disables the door.
func (d *Daemon) nextSequence(door *door) {
	sequence, ok := door.oneTime.Current()
	if !ok {
		d.say.line(fmt.Sprintf("no more sequences left in the one time sequences file for door %s --> disabling the door", door.Name))
		return
	}
	d.setSequence(door, sequence)
}

func (d *Daemon) doorWithFile(name string, file *onetime.File) *door {
	for _, door := range d.conf.doors {
		if door.Name == name && door.oneTime == file {
			return door
		}
	}
	return nil
}
