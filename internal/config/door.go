package config

import (
	"fmt"
	"time"
)

// finishDoor checks the keys of a door against each other, in the order of what a person would mend first.
func (p *parser) finishDoor() {
	p.chooseSequence()
	p.checkNative()
	p.checkCommands()
	p.disable()
	if d := p.door; d.Disabled == "" {
		p.checkOrder()
	}
}

// chooseSequence sees to it that the door has one source of sequences.
func (p *parser) chooseSequence() {
	fixed, oneTime := p.lineOf("Sequence"), p.lineOf("One_Time_Sequences")
	switch d := p.door; {
	case d.OneTimeFile != "" && fixed > 0:
		p.report(max(fixed, oneTime), true, fmt.Sprintf("door %s has One_Time_Sequences: its Sequence is ignored", d.Name), "remove one of them")
		d.Sequence, p.ports = nil, sequence{}
	case d.OneTimeFile != "":
	case oneTime > 0 && fixed < oneTime:
		p.failAt(oneTime, "One_Time_Sequences names no file", "write the path of the file")
	case fixed == 0 && !p.badSection:
		p.failAt(d.Line, fmt.Sprintf("door %s has no sequence", d.Name), p.hintForEmptyDoor())
	}
}

func (p *parser) hintForEmptyDoor() string {
	if meantOptions(p.door.Name) {
		return fmt.Sprintf("write [options] instead of [%s], if you meant that", p.door.Name)
	}
	return "add a line such as Sequence = 7000,9000:udp,8000"
}

// checkCommands finds commands that are never run.
func (p *parser) checkCommands() {
	d := p.door
	starts, stops := d.Start.V4 != "" || d.Start.V6 != "", d.Stop.V4 != "" || d.Stop.V6 != ""
	switch {
	case stops && !starts:
		p.report(p.firstOf("Stop_Command", "Stop_Command_6"), true, "without a Start_Command the stop command is never run", "add Start_Command, or remove it")
	case !starts && !d.Native():
		p.report(d.Line, false, fmt.Sprintf("door %s runs no command: a knock is only logged", d.Name), "add Start_Command, or Open")
	}
	if line := p.lineOf("On_Repeat"); line > 0 && !stops {
		p.report(line, false, "On_Repeat means nothing without a Stop_Command", "remove it")
	}
}

// disable says so where the door can never open, and settles a Seq_Timeout that is none.
func (p *parser) disable() {
	d := p.door
	line := p.lineOf("Target")
	if d.Disabled == "" && p.ports.never != "" {
		d.Disabled, line = p.ports.never, p.lineOf("Sequence")
	}
	if d.Disabled == "" && d.SeqTimeout <= 0 {
		line = p.lineOf("Seq_Timeout")
		if len(d.Sequence) == 1 {
			// The one packet is in time whatever the time is.
			d.SeqTimeout = time.Second
		} else {
			d.Disabled = "no time for its sequence: Seq_Timeout is not above 0"
		}
	}
	if d.Disabled != "" {
		p.report(line, true, fmt.Sprintf("door %s never opens: %s", d.Name, d.Disabled), "")
	}
}
