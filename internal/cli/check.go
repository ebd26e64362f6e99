package cli

import (
	"context"
	"fmt"
	"slices"

	"knockd/internal/config"
	"knockd/internal/daemon"
	"knockd/internal/getopt"
)

// configOption is -c, which every verb that reads the file takes.
var configOption = getopt.Option{Long: "config", Short: 'c', Argument: true}

// configPath reads the command line of a verb that takes -c alone.
func configPath(args []string) (string, error) {
	given, operands, err := getopt.Parse(args, []getopt.Option{configOption})
	if err != nil {
		return "", err
	}
	if len(operands) > 0 {
		return "", fmt.Errorf("unexpected argument %q", operands[0])
	}
	path := DefaultConfig
	for _, g := range given {
		path = g.Value
	}
	return path, nil
}

// errorsOnly makes check fail only for what the daemon would not start with, as the packages ask before a restart.
const errorsOnly = "--errors"

// check loads the configuration as the daemon would, and stops right before the first change to the system.
func check(ctx context.Context, p *Program, args []string) error {
	path, err := configPath(slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == errorsOnly }))
	if err != nil {
		return err
	}
	report, err := daemon.Check(ctx, path, p.Getenv("SSH_CONNECTION"))
	if err != nil {
		return err
	}
	for _, finding := range report.Findings {
		p.complain(placed(path, finding), finding.Hint)
	}
	if report.Serious() && !slices.Contains(args, errorsOnly) {
		return errSilent
	}
	_, _ = fmt.Fprintf(p.Stdout, "%s: %s\n", path, report.Summary)
	return nil
}

// placed is a finding with its place: FILE:LINE: message.
func placed(path string, d config.Diagnostic) string {
	if d.Line == 0 {
		return path + ": " + d.Message
	}
	return fmt.Sprintf("%s:%d: %s", path, d.Line, d.Message)
}
