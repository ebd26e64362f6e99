package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"knockd/internal/conffile"
	"knockd/internal/config"
	"knockd/internal/control"
	"knockd/internal/daemon"
	"knockd/internal/getopt"
)

// jsonOption is --json, for every verb that prints a result.
var jsonOption = getopt.Option{Long: "json", Short: 'j'}

// asked is the command line of a verb that speaks to the daemon.
type asked struct {
	config   string
	json     bool
	operands []string
	given    []getopt.Given
}

// parseAsked reads -c, --json and the verb's own options.
func parseAsked(args []string, more ...getopt.Option) (asked, error) {
	given, operands, err := getopt.Parse(args, append([]getopt.Option{configOption, jsonOption}, more...))
	a := asked{config: DefaultConfig, operands: operands, given: given}
	for _, g := range given {
		switch g.Short {
		case 'c':
			a.config = g.Value
		case 'j':
			a.json = true
		}
	}
	return a, err
}

// socketOf returns the control socket that a configuration names. Where that can't be read it is the one of the last good
// configuration, or the default: the verbs must work beside a broken file too.
func socketOf(path string) (string, error) {
	text, err := conffile.Open(path)
	if err != nil {
		return or(daemon.ControlOfLastGood(), config.DefaultControl), nil
	}
	conf, err := config.Parse(path, text)
	if err != nil {
		return or(daemon.ControlOfLastGood(), config.DefaultControl), nil
	}
	if conf.Options.Control == "" {
		return "", &daemon.HintedError{
			Err:  fmt.Errorf("%s says Control = none: the running daemon can't be spoken to", path),
			Hint: "take the line out, and reload with SIGHUP",
		}
	}
	return conf.Options.Control, nil
}

// ask sends a verb to the daemon; what is missing is said in words that lead on.
func ask(configPath, verb string, args, result any) error {
	socket, err := socketOf(configPath)
	if err == nil {
		err = control.Ask(socket, verb, args, result)
	}
	// The file may have changed since the daemon read it.
	if running := daemon.RunningControl(configPath); running != "" && running != socket && (socket == "" || errors.Is(err, control.ErrNoDaemon)) {
		if other := control.Ask(running, verb, args, result); !errors.Is(other, control.ErrNoDaemon) {
			err = other
		}
	}
	var refused *control.RefusedError
	switch {
	case errors.As(err, &refused):
		return &daemon.HintedError{Err: err, Hint: refused.Hint}
	case errors.Is(err, control.ErrNoDaemon):
		return &daemon.HintedError{Err: err, Hint: "is knockd running? systemctl status knockd"}
	case errors.Is(err, fs.ErrPermission):
		return &daemon.HintedError{Err: err, Hint: "run it as root, or as a member of the group that Control_Group names"}
	}
	return err
}

// print writes a result for a person, or as JSON.
func (p *Program) print(a asked, result any, text func()) error {
	if !a.json {
		text()
		return nil
	}
	out := json.NewEncoder(p.Stdout)
	out.SetIndent("", "  ")
	return out.Encode(result)
}

// printDone tells that a verb was done.
func (p *Program) printDone(a asked, done control.Done) error {
	return p.print(a, done, func() {
		if done.Message != "" {
			_, _ = fmt.Fprintln(p.Stdout, done.Message)
		}
		if done.Hint != "" {
			_, _ = fmt.Fprintln(p.Stdout, "hint: "+done.Hint)
		}
	})
}
