// Package cli is the command line of knockd: the reference's options, the verbs beyond them, and how results are
// printed for people and as JSON.
//
// What a verb does belongs to other packages; here is how it is asked for and shown. A verb is one file.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"knockd/internal/config"
	"knockd/internal/daemon"
	"knockd/internal/version"
)

// Program is where knockd's command line meets the process.
type Program struct {
	Args           []string // without the program's name
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	// trial is how long the rules of a daemon started by `knockd try` stand unless they are confirmed.
	trial time.Duration
}

// verb is one word of the command line.
type verb struct {
	name string
	// usage is what follows the name, summary the line of the help.
	usage, summary string
	run            func(ctx context.Context, p *Program, args []string) error
}

// verbs are all of them, in the order of the help.
func verbs() []verb {
	return []verb{
		{"demo", "", "show a whole knock in network namespaces of its own", showDemo},
		{"init", "[-c FILE]", "write a first configuration that hides ssh", initialise},
		{"check", "[-c FILE] [--errors]", "read the configuration and say what is wrong with it", check},
		{"try", "[-c FILE] FOR", "put the configuration in force, and take it back unless it is confirmed", try},
		{"confirm", "[-c FILE] [--force]", "keep what is on trial", confirm},
		{"status", "[-c FILE] [--json]", "show interfaces, doors and who is in", status},
		{"open", "[-c FILE] DOOR IP [FOR]", "let an address in without a knock", openDoor},
		{"close", "[-c FILE] DOOR IP", "end what an address was let in to", closeDoor},
		{"reload", "[-c FILE]", "read the configuration anew, and wait for the outcome", reload},
		{"rehearse", "[-c FILE] [--json]", "with Hide = rehearse: who would have been locked out", rehearse},
		{"unhide", "[-c FILE]", "show every port", unhide},
		{"convert", "[-c FILE] [--json]", "turn doors with firewall commands into native ones, as a diff", convertFile},
		{"guard", "[-c FILE]", "hide the ports without a daemon, before the network comes up", guard},
	}
}

// Main runs the command line and returns the exit status: 0, or 1 for anything that went wrong.
func Main(p *Program) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if len(p.Args) > 0 && !strings.HasPrefix(p.Args[0], "-") {
		return p.verb(ctx, p.Args[0], p.Args[1:])
	}
	return p.daemon(ctx)
}

func (p *Program) verb(ctx context.Context, name string, args []string) int {
	all := verbs()
	i := slices.IndexFunc(all, func(v verb) bool { return v.name == name })
	if i < 0 {
		_, _ = fmt.Fprintf(p.Stderr, "knockd: unknown verb %q\nknockd: hint: knockd -h lists them\n", name)
		return 1
	}
	v := all[i]
	if slices.Contains(args, "-h") || slices.Contains(args, "--help") {
		_, _ = fmt.Fprintf(p.Stdout, "usage: knockd %s %s\n  %s\n", v.name, v.usage, v.summary)
		return 0
	}
	if err := v.run(ctx, p, args); err != nil {
		p.explain(err)
		return 1
	}
	return 0
}

// errSilent ends a verb with status 1 when everything has been said.
var errSilent = errors.New("failed")

// explain prints an error and its hint for a person.
func (p *Program) explain(err error) {
	if errors.Is(err, errSilent) {
		return
	}
	var several config.Errors
	if errors.As(err, &several) {
		for _, e := range several {
			p.complain(e.Error(), e.Hint)
		}
		return
	}
	hint := ""
	var hinted *daemon.HintedError
	if errors.As(err, &hinted) {
		hint = hinted.Hint
	}
	p.complain(err.Error(), hint)
}

func (p *Program) complain(message, hint string) {
	_, _ = fmt.Fprintf(p.Stderr, "knockd: %s\n", message)
	if hint != "" {
		_, _ = fmt.Fprintf(p.Stderr, "knockd: hint: %s\n", hint)
	}
}

// usage is what -h prints, and an unknown option.
func usage(w io.Writer) {
	_, _ = fmt.Fprint(w, `usage: knockd [options]
options:
  -i, --interface <int>  network interface to listen on: a name, several joined by
                         commas, any, or default (default "eth0", without one the
                         interface of the default route)
  -d, --daemon           run as a daemon
  -c, --config <file>    use an alternate config file
  -D, --debug            output debug messages
  -l, --lookup           lookup DNS names (may be a security risk)
  -p, --pidfile <file>   use an alternate pidfile
  -g, --logfile <file>   use an alternate logfile
  -v, --verbose          be verbose
  -4, --only-ip-v4       do not track ipv6
  -V, --version          display version
  -h, --help             this help

usage: knockd <verb> [options]
verbs (knockd <verb> -h says more):
`)
	for _, v := range verbs() {
		_, _ = fmt.Fprintf(w, "  %-22s %s\n", v.name, v.summary)
	}
}

func printVersion(w io.Writer) {
	_, _ = fmt.Fprintf(w, "knockd %s\nCopyright (C) 2026 the knockd authors, MIT licence\n", version.Version)
}

// OS is the program as the process has it.
func OS() *Program {
	return &Program{Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv}
}
