package cli

import (
	"context"
	"fmt"

	"knockd/internal/daemon"
	"knockd/internal/getopt"
)

// DefaultConfig is the configuration file where -c names none.
const DefaultConfig = "/etc/knockd.conf"

// defaultPidFile is the pid file where neither -p nor the file names one.
const defaultPidFile = "/var/run/knockd.pid"

// daemonOptions are the reference's.
func daemonOptions() []getopt.Option {
	return []getopt.Option{
		{Long: "interface", Short: 'i', Argument: true},
		{Long: "daemon", Short: 'd'},
		{Long: "config", Short: 'c', Argument: true},
		{Long: "debug", Short: 'D'},
		{Long: "lookup", Short: 'l'},
		{Long: "pidfile", Short: 'p', Argument: true},
		{Long: "logfile", Short: 'g', Argument: true},
		{Long: "verbose", Short: 'v'},
		{Long: "only-ip-v4", Short: '4'},
		{Long: "version", Short: 'V'},
		{Long: "help", Short: 'h'},
	}
}

// daemon runs the reference's command line.
func (p *Program) daemon(ctx context.Context) int {
	given, _, err := getopt.Parse(p.Args, daemonOptions())
	s := daemon.Settings{ConfigPath: DefaultConfig, PidFile: defaultPidFile, Stdout: p.Stdout, Stderr: p.Stderr}
	detach := false
	for _, g := range given {
		switch g.Short {
		case 'h':
			usage(p.Stdout)
			return 0
		case 'V':
			printVersion(p.Stdout)
			return 0
		case 'd':
			detach = true
		default:
			apply(&s, g)
		}
	}
	if err != nil {
		_, _ = fmt.Fprintf(p.Stderr, "knockd: %v\n", err)
		usage(p.Stderr)
		return 1
	}
	return p.runDaemon(ctx, s, detach)
}

func apply(s *daemon.Settings, g getopt.Given) {
	switch g.Short {
	case 'i':
		s.Interface = g.Value
	case 'c':
		s.ConfigPath = g.Value
	case 'D':
		s.Debug = true
	case 'l':
		s.Lookup = true
	case 'p':
		s.PidFile = g.Value
	case 'g':
		s.LogFile = g.Value
	case 'v':
		s.Verbose = true
	case '4':
		s.IPv4Only = true
	}
}
