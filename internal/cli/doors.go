package cli

import (
	"context"
	"fmt"
	"time"

	"knockd/internal/control"
	"knockd/internal/daemon"
)

// openDoor lets an address in without a knock.
func openDoor(_ context.Context, p *Program, args []string) error {
	return p.doorVerb(control.VerbOpen, "knockd open DOOR IP [FOR]", args, 3)
}

// closeDoor ends what an address was let in to.
func closeDoor(_ context.Context, p *Program, args []string) error {
	return p.doorVerb(control.VerbClose, "knockd close DOOR IP", args, 2)
}

func (p *Program) doorVerb(verb, usage string, args []string, most int) error {
	a, err := parseAsked(args)
	if err != nil {
		return err
	}
	if len(a.operands) < 2 || len(a.operands) > most {
		return fmt.Errorf("usage: %s", usage)
	}
	door := control.DoorArgs{Door: a.operands[0], Source: a.operands[1]}
	if len(a.operands) == 3 {
		if door.For, err = parseLength(a.operands[2]); err != nil {
			return err
		}
	}
	var done control.Done
	if err := ask(a.config, verb, door, &done); err != nil {
		return err
	}
	return p.printDone(a, done)
}

// parseLength reads 90, 90s, 10m or 1h, as the configuration does: a bare number is seconds.
func parseLength(s string) (time.Duration, error) {
	length, err := time.ParseDuration(s)
	if err != nil {
		length, err = time.ParseDuration(s + "s")
	}
	if err != nil || length <= 0 {
		return 0, &daemon.HintedError{Err: fmt.Errorf("%q is no length of time", s), Hint: "write 90s, 10m or 1h"}
	}
	return length, nil
}

// reload makes the daemon read its configuration anew, and waits for the outcome.
func reload(_ context.Context, p *Program, args []string) error {
	a, err := parseAsked(args)
	if err != nil {
		return err
	}
	if err := ask(a.config, control.VerbReload, nil, nil); err != nil {
		return err
	}
	return p.printDone(a, control.Done{Message: "reloaded"})
}
