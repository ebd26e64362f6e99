package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"knockd/internal/version"
)

const usage = `usage: knock [options] [HOST] PORT[:PROTO] ...

Sends one packet to each port of HOST, in order. PROTO is tcp (default) or udp.
Without HOST: the one that KNOCK_HOST names, else localhost.

  -u, --udp            send UDP to all ports
  -d, --delay MS       wait MS milliseconds between two ports
  -4, --ipv4           use IPv4 only
  -6, --ipv6           use IPv6 only
      --interface IF   send through interface IF (Linux)
      --source ADDR    send from address ADDR
  -v, --verbose        say what is sent
  -V, --version        print the version
  -h, --help           print this help

example: knock server.example.org 7000 9000:udp 8000
`

// Main is the knock program: args are its arguments without its name, knockHost is the value of KNOCK_HOST. It returns
// the exit code: 0 if every hit was sent or the version printed, else 1, which is what the reference's --help gives too.
func Main(ctx context.Context, args []string, knockHost string, stdout, stderr io.Writer) int {
	o, err := Parse(args, knockHost)
	var bad *usageError
	switch {
	case errors.As(err, &bad):
		if !errors.Is(err, errUsage) {
			complain(stderr, err)
		}
		_, _ = io.WriteString(stdout, usage)
		return 1
	case err != nil:
		complain(stderr, err)
		return 1
	case o.Help:
		_, _ = io.WriteString(stdout, usage)
		return 1
	case o.Version:
		_, _ = fmt.Fprintf(stdout, "knock %s\nCopyright (C) 2026 The knockd authors, MIT licence\n", version.Version)
		return 0
	}
	return o.run(ctx, stdout, stderr)
}

func (o *Options) run(ctx context.Context, stdout, stderr io.Writer) int {
	to, err := Resolve(ctx, o.Host, o.Family)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "Failed to resolve hostname '%s' on port %d\n", o.Host, o.Hits[0].Port)
		complain(stderr, err)
		return 1
	}
	k := Knock{To: to, Hits: o.Hits, Delay: o.Delay, Interface: o.Interface, Source: o.Source}
	if o.Verbose {
		k.Before = func(h Hit) {
			_, _ = fmt.Fprintf(stdout, "hitting %s %s:%d\n", h.Protocol(), to, h.Port)
		}
	}
	if err := k.Send(ctx); err != nil {
		complain(stderr, err)
		return 1
	}
	return 0
}

func complain(stderr io.Writer, err error) { _, _ = fmt.Fprintf(stderr, "knock: %v\n", err) }
