package cli

import (
	"context"
	"crypto/rand"
	"fmt"

	"knockd/internal/getopt"
	"knockd/internal/setup"
)

// initialise writes a first configuration for this machine, and says what to do next.
func initialise(_ context.Context, p *Program, args []string) error {
	given, operands, err := getopt.Parse(args, []getopt.Option{configOption})
	if err != nil {
		return err
	}
	if len(operands) > 0 {
		return fmt.Errorf("unexpected argument %q", operands[0])
	}
	o := setup.Options{Path: DefaultConfig, SSHConnection: p.Getenv("SSH_CONNECTION"), Random: rand.Reader}
	for _, g := range given {
		o.Path = g.Value
	}
	result, err := setup.Write(o)
	if err != nil {
		return err
	}
	return result.NextSteps(p.Stdout)
}
