// Package demo is `knockd demo`: a whole knock, with the real daemon, the real client and a real service, in network
// namespaces that exist only as long as it takes. It is a self-test too: it succeeds only if every step happened.
//
// How namespaces are made belongs to package netlab; what knocks, to package client.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"knockd/internal/netlab"
)

// stageEnv marks the process that plays: the one that Run has started anew in namespaces of its own.
const stageEnv = "KNOCKD_DEMO_STAGE"

// The exit codes of the process that plays.
const (
	exitFailed = 1
	exitDenied = 3 // the system allows the namespaces but denies what is needed in them
)

// longest bounds the demonstration, which takes some six seconds, on a machine that is very busy.
const longest = 90 * time.Second

// Run shows a knock and tells on stdout what happens; self is the path of the knockd program. It starts this program
// once more, with its own arguments, in namespaces of its own: network and mount, and for anybody but root a user
// namespace. There Run is called again, plays, and ends the process.
//
// The error says which step did not happen, or that the system has no namespaces for the caller and what to run
// instead.
func Run(ctx context.Context, stdout, stderr io.Writer, self string) error {
	if os.Getenv(stageEnv) != "" {
		os.Exit(onStage(ctx, stdout, stderr, self))
	}
	code, err := netlab.Reexec(os.Args[1:], []string{stageEnv + "=1"})
	switch {
	case err != nil:
		return fmt.Errorf("%w: %s", err, instead(self))
	case code == exitDenied:
		return fmt.Errorf("the demonstration needs network namespaces, which this system denies: %s", instead(self))
	case code != 0:
		return errors.New("the demonstration failed: see above")
	}
	return nil
}

// instead is the command to run where namespaces are denied.
func instead(self string) string {
	if os.Geteuid() == 0 {
		return "run it outside of this container, or give the container CAP_SYS_ADMIN and CAP_NET_ADMIN"
	}
	return "run as root instead: sudo " + filepath.Clean(self) + " demo"
}

// onStage plays in the namespaces that this process was started in, and returns the exit code.
func onStage(ctx context.Context, stdout, stderr io.Writer, self string) int {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	err := netlab.Enter()
	if err == nil {
		err = play(ctx, stdout, self, patience)
	}
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintf(stderr, "\nknockd demo: %v\n", err)
	var denied *netlab.Unsupported
	if errors.As(err, &denied) {
		return exitDenied
	}
	return exitFailed
}
