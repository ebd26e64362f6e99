package daemon

import (
	"slices"

	"knockd/internal/privilege"
)

// runsCommands reports whether a door has a command: children need capabilities that we can't know.
func (l *loaded) runsCommands() bool {
	return slices.ContainsFunc(l.doors, func(d *door) bool {
		return d.Start.V4 != "" || d.Start.V6 != "" || d.Stop.V4 != "" || d.Stop.V6 != ""
	})
}

// dropPrivileges lets go of every capability that native doors don't need.
func (d *Daemon) dropPrivileges() error {
	if d.conf.runsCommands() {
		return nil
	}
	if _, err := privilege.Drop(); err != nil {
		return err
	}
	d.dropped = true
	return nil
}

// warnOfCommands tells of commands that a reload brings to a daemon that has let go of what they may need.
func (d *Daemon) warnOfCommands() {
	if d.dropped && d.conf.runsCommands() {
		d.say.line("warning: commands run without the capabilities that were let go at start: restart knockd")
	}
}
