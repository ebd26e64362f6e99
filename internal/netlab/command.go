package netlab

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"time"
)

// Cmd is an exec.Cmd whose process starts in a namespace.
type Cmd struct {
	*exec.Cmd
	ns *Namespace
}

// Command returns a command to run in the namespace. Once ctx is done it is killed.
func (n *Namespace) Command(ctx context.Context, name string, args ...string) *Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = 5 * time.Second // a grandchild that holds the output open must not hold the caller
	return &Cmd{Cmd: cmd, ns: n}
}

// Start starts the process in the namespace.
func (c *Cmd) Start() error { return c.ns.Do(c.Cmd.Start) }

// Run starts the process in the namespace and waits for its end.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output runs the process in the namespace and returns its standard output.
func (c *Cmd) Output() ([]byte, error) {
	if c.Stdout != nil {
		return nil, errors.New("standard output is already set")
	}
	var out bytes.Buffer
	c.Stdout = &out
	err := c.Run()
	return out.Bytes(), err
}

// CombinedOutput runs the process in the namespace and returns its standard output and error together.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	if c.Stdout != nil || c.Stderr != nil {
		return nil, errors.New("output is already set")
	}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	return out.Bytes(), err
}
