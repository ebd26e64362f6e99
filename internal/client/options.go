package client

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"knockd/internal/getopt"
)

// Options is a command line of knock, as read by Parse.
type Options struct {
	Help, Version, Verbose bool
	Family                 Family
	Host                   string
	Hits                   []Hit
	Delay                  time.Duration
	Interface              string
	Source                 netip.Addr
}

// errUsage is for a command line with too few arguments.
var errUsage = errors.New("want a host and at least one port")

func known() []getopt.Option {
	return []getopt.Option{
		{Long: "udp", Short: 'u'},
		{Long: "delay", Short: 'd', Argument: true},
		{Long: "ipv4", Short: '4'},
		{Long: "ipv6", Short: '6'},
		{Long: "interface", Argument: true},
		{Long: "source", Argument: true},
		{Long: "verbose", Short: 'v'},
		{Long: "version", Short: 'V'},
		{Long: "help", Short: 'h'},
	}
}

// Parse reads the arguments after the program's name. fallback is the host if every argument is a port: the value of
// KNOCK_HOST, or empty for localhost. Help or Version before an error win, as they would end the program before it.
func Parse(args []string, fallback string) (Options, error) {
	var o Options
	given, operands, failed := getopt.Parse(args, known())
	udp := false
	for _, g := range given {
		if g.Long == "udp" {
			udp = true
		} else if err := o.set(g); err != nil {
			return o, err
		}
		if o.Help || o.Version {
			return o, nil
		}
	}
	switch {
	case failed != nil:
		return o, &usageError{failed}
	case len(operands) < 2:
		return o, &usageError{errUsage}
	}
	if err := o.target(operands, fallback, udp); err != nil {
		return o, err
	}
	return o, o.settleFamily()
}

// usageError is an error after which the usage helps.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func (o *Options) set(g getopt.Given) (err error) {
	switch g.Long {
	case "delay":
		o.Delay, err = parseDelay(g.Value)
	case "ipv4":
		o.Family = IPv4
	case "ipv6":
		o.Family = IPv6
	case "interface":
		o.Interface = g.Value
	case "source":
		o.Source, err = netip.ParseAddr(g.Value)
		o.Source = o.Source.Unmap()
		if err != nil {
			err = fmt.Errorf("bad source '%s': want an address of this machine", g.Value)
		}
	case "verbose":
		o.Verbose = true
	case "version":
		o.Version = true
	case "help":
		o.Help = true
	}
	return err
}

// parseDelay reads milliseconds, at most some 24 days, as the reference's 32 bits hold.
func parseDelay(text string) (time.Duration, error) {
	ms, err := strconv.ParseInt(text, 10, 32)
	switch {
	case err != nil:
		return 0, fmt.Errorf("bad delay '%s': want a number of milliseconds", text)
	case ms < 0:
		return 0, errors.New("delay cannot be negative")
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// target splits operands into host and hits. If all are ports, the host was left out.
func (o *Options) target(operands []string, fallback string, udp bool) error {
	o.Host = fallback
	if o.Host == "" {
		o.Host = "localhost"
	}
	if !allHits(operands) {
		o.Host, operands = operands[0], operands[1:]
	}
	for _, text := range operands {
		hit, err := ParseHit(text)
		if err != nil {
			return err
		}
		hit.UDP = hit.UDP || udp // --udp wins over a protocol, as in the reference
		o.Hits = append(o.Hits, hit)
	}
	return nil
}

func allHits(operands []string) bool {
	for _, text := range operands {
		if _, err := ParseHit(text); err != nil {
			return false
		}
	}
	return true
}

// settleFamily makes the host's address one that the source can be used for.
func (o *Options) settleFamily() error {
	source := familyOf(o.Source)
	if source == Any {
		return nil
	}
	if !o.Family.admits(o.Source) {
		return fmt.Errorf("source %s is not of the address family asked for", o.Source)
	}
	o.Family = source
	return nil
}
