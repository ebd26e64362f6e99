package client_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"knockd/internal/client"
)

func TestParse(t *testing.T) {
	ports := []client.Hit{{Port: 7000}, {Port: 8000, UDP: true}}
	udp := []client.Hit{{Port: 7000, UDP: true}, {Port: 8000, UDP: true}}
	source := netip.MustParseAddr("fd00::2")
	tests := map[string]struct {
		args, knockHost string
		want            client.Options
	}{
		"plain":             {"h 7000 8000:udp", "", client.Options{Host: "h", Hits: ports}},
		"all udp":           {"-u h 7000:tcp 8000", "", client.Options{Host: "h", Hits: udp}},
		"option at the end": {"h 7000 8000 --udp", "", client.Options{Host: "h", Hits: udp}},
		"only ports":        {"7000 8000:udp", "", client.Options{Host: "localhost", Hits: ports}},
		"KNOCK_HOST":        {"7000 8000:udp", "k", client.Options{Host: "k", Hits: ports}},
		"KNOCK_HOST unused": {"h 7000 8000:udp", "k", client.Options{Host: "h", Hits: ports}},
		"bundled": {
			"-v4d10 h 7000 8000:udp", "",
			client.Options{Host: "h", Hits: ports, Verbose: true, Family: client.IPv4, Delay: 10 * time.Millisecond},
		},
		"the last family wins": {
			"-4 --ipv6 h 7000 8000:udp", "", client.Options{Host: "h", Hits: ports, Family: client.IPv6},
		},
		"extras": {
			"--interface eth0 --source=fd00::2 h 7000 8000:udp", "",
			client.Options{Host: "h", Hits: ports, Interface: "eth0", Source: source, Family: client.IPv6},
		},
		"help before an error":    {"-h --foo", "", client.Options{Help: true}},
		"version before an error": {"-vV -d", "", client.Options{Verbose: true, Version: true}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := client.Parse(strings.Fields(test.args), test.knockHost)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	tests := map[string]struct{ args, want string }{
		"nothing":         {"", "want a host and at least one port"},
		"a host alone":    {"h", "want a host and at least one port"},
		"unknown option":  {"--foo h 7000", "unrecognized option '--foo'"},
		"bad port":        {"h 7000 0 8000", "bad port '0': want a number from 1 to 65535"},
		"bad protocol":    {"h 7000:sctp", "bad protocol in '7000:sctp': want tcp or udp"},
		"negative delay":  {"-d -1 h 7000", "delay cannot be negative"},
		"no delay":        {"-d soon h 7000", "bad delay 'soon': want a number of milliseconds"},
		"endless delay":   {"-d 99999999999 h 7000", "bad delay '99999999999': want a number of milliseconds"},
		"no source":       {"--source eth0 h 7000", "bad source 'eth0': want an address of this machine"},
		"families differ": {"-4 --source fd00::1 h 7000", "source fd00::1 is not of the address family asked for"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := client.Parse(strings.Fields(test.args), "")
			if err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestResolveAddress(t *testing.T) {
	tests := map[string]struct {
		host   string
		family client.Family
		want   string
	}{
		"IPv4":              {"192.0.2.1", client.Any, "192.0.2.1"},
		"IPv6":              {"2001:db8::1", client.IPv6, "2001:db8::1"},
		"mapped":            {"::ffff:192.0.2.1", client.IPv4, "192.0.2.1"},
		"zone":              {"fe80::1%eth0", client.Any, "fe80::1%eth0"},
		"IPv4 but -6":       {"192.0.2.1", client.IPv6, ""},
		"IPv6 but -4":       {"2001:db8::1", client.IPv4, ""},
		"localhost as IPv4": {"localhost", client.IPv4, "127.0.0.1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := client.Resolve(t.Context(), test.host, test.family)
			if (err == nil) != got.IsValid() || got.IsValid() != (test.want != "") || got.IsValid() && got.String() != test.want {
				t.Errorf("got %v, %v, want %q", got, err, test.want)
			}
		})
	}
}
