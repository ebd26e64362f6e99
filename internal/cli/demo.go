package cli

import (
	"context"
	"fmt"
	"os"

	"knockd/internal/demo"
)

// showDemo plays a whole knock in namespaces of its own.
func showDemo(ctx context.Context, p *Program, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	return demo.Run(ctx, p.Stdout, p.Stderr, self)
}
