package daemon

import (
	"context"
	"runtime/debug"

	"knockd/internal/processors"
)

// tidy gives back to the system what reading a configuration took, off the loop: a daemon that idles for months should
// not hold what it needed for a second.
func (d *Daemon) tidy() {
	d.files.submit(func(context.Context) error {
		defer processors.Compute()()
		debug.FreeOSMemory()
		return nil
	}, nil)
}
