package daemon

import (
	"io"
	"time"

	"knockd/internal/boottime"
)

// Settings are what the command line says.
type Settings struct {
	// ConfigPath is the configuration file.
	ConfigPath string
	// Interface wins over the file's, LogFile and PidFile lose against it; empty: not given.
	Interface, LogFile, PidFile string
	// Detached is set for the process that -d leaves behind: it writes the pid file.
	Detached bool
	Debug    bool
	Verbose  bool
	// Lookup logs host names beside addresses.
	Lookup   bool
	IPv4Only bool
	// Trial is how long the rules stand unless they are confirmed; 0: no trial.
	Trial time.Duration
	// Stdout takes the lines of -v and -D, Stderr what goes wrong before there is a log.
	Stdout, Stderr io.Writer
	// Ready is called once, when packets are captured or the interface is waited for.
	Ready func()
	// Clock is CLOCK_BOOTTIME, or a test's.
	Clock boottime.Clock
}
