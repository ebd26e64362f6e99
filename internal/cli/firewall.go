package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"knockd/internal/control"
	"knockd/internal/daemon"
	"knockd/internal/firewall"
)

// unhide shows every port: through the daemon if one runs, which would otherwise hide them again, else at once.
func unhide(ctx context.Context, p *Program, args []string) error {
	a, err := parseAsked(args)
	if err != nil {
		return err
	}
	var done control.Done
	err = ask(a.config, control.VerbUnhide, nil, &done)
	switch {
	case err == nil:
		return p.printDone(a, done)
	case !errors.Is(err, control.ErrNoDaemon):
		return err
	}
	shown, err := removeTable(ctx)
	if err != nil {
		return err
	}
	done.Message = "nothing was hidden"
	if shown {
		done.Message = "every port is shown"
	}
	return p.printDone(a, done)
}

// removeTable takes our table out of the kernel, if it is there.
func removeTable(ctx context.Context) (bool, error) {
	fw, err := firewall.NewKernel()
	if err != nil {
		return false, needsAdmin(err)
	}
	defer func() { _ = fw.Close() }()
	present, err := fw.Present(ctx)
	if err != nil || !present {
		return false, needsAdmin(err)
	}
	return true, needsAdmin(fw.Remove(ctx))
}

func needsAdmin(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return &daemon.HintedError{Err: fmt.Errorf("showing the ports: %w", err), Hint: "run it as root"}
	}
	return err
}

// guard hides the native doors' ports without a daemon, for knockd-guard.service: before the network comes up.
func guard(ctx context.Context, p *Program, args []string) error {
	path, err := configPath(args)
	if err != nil {
		return err
	}
	hidden, err := daemon.Guard(ctx, path)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(p.Stdout, "hidden: %s\n", or(hidden, "nothing"))
	return nil
}
