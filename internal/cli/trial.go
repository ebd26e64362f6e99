package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"knockd/internal/control"
	"knockd/internal/daemon"
	"knockd/internal/getopt"
)

// try puts the configuration in force for a while; without a daemon it starts one.
func try(_ context.Context, p *Program, args []string) error {
	a, err := parseAsked(args)
	if err != nil {
		return err
	}
	if len(a.operands) != 1 {
		return errors.New("usage: knockd try FOR, such as: knockd try 5m")
	}
	length, err := parseLength(a.operands[0])
	if err != nil {
		return err
	}
	if err := daemon.CheckTrial(length); err != nil {
		return err
	}
	var done control.Done
	err = ask(a.config, control.VerbTry, control.TryArgs{For: length}, &done)
	if !errors.Is(err, control.ErrNoDaemon) {
		if err != nil {
			return err
		}
		return p.printDone(a, done)
	}
	starter := *p
	starter.Args = []string{"-d", "-c", a.config}
	starter.trial = length
	if starter.runDetached() != 0 {
		return errSilent
	}
	return p.printDone(a, control.Done{
		Message: fmt.Sprintf("knockd runs, on trial for %s: what is not confirmed by then is taken back", length),
		Hint:    "knock and log in from elsewhere, and run knockd confirm in that new session",
	})
}

// confirm keeps what is on trial.
func confirm(_ context.Context, p *Program, args []string) error {
	a, err := parseAsked(args, getopt.Option{Long: "force", Short: 'f'})
	if err != nil {
		return err
	}
	var c control.ConfirmArgs
	for _, g := range a.given {
		c.Force = c.Force || g.Short == 'f'
	}
	if !c.Force {
		if err := cameThroughDoor(a.config); err != nil {
			return err
		}
		c.Came = true
	}
	var done control.Done
	if err := ask(a.config, control.VerbConfirm, c, &done); err != nil {
		return err
	}
	return p.printDone(a, done)
}

// cameThroughDoor reports, as an error, that this session is not a connection to a hidden port that was opened since the
// trial began. It is looked at here and not by the daemon, which may not look into other processes.
func cameThroughDoor(configPath string) error {
	var s control.Status
	if err := ask(configPath, control.VerbStatus, nil, &s); err != nil {
		return err
	}
	ports := tcpRanges(s.Hidden)
	if s.Trial <= 0 || len(ports) == 0 {
		return nil // the daemon says what is wrong, or no connection could show it
	}
	return cameSince(os.Getpid(), ports, s.TrialBegan)
}
