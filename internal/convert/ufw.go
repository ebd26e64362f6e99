package convert

import (
	"slices"

	"knockd/internal/config"
	"knockd/internal/packet"
)

// ufwRule is a rule of ufw as it is read. bad is why it is not understood.
type ufwRule struct {
	closes      bool
	from, proto string
	// to is set right behind "to any": there a port is the destination's.
	to    bool
	ports []config.PortRange
	bad   string
}

// ufw understands `ufw allow from %IP% to any port N [proto P]`, and its deletion.
func ufw(args []string) (effect, string) {
	r := &ufwRule{}
	args = r.head(args)
	for len(args) > 0 && r.bad == "" {
		args = r.part(args)
	}
	switch {
	case r.bad != "":
		return effect{}, r.bad
	case !isKnocker(r.from):
		return effect{}, notTheKnocker
	case len(r.ports) == 0:
		return effect{}, everyPort
	}
	return effect{closes: r.closes, ports: withProtocols(r.ports, r.proto)}, ""
}

// head reads up to "allow".
func (r *ufwRule) head(args []string) []string {
	if len(args) > 0 && args[0] == "--force" {
		args = args[1:]
	}
	if len(args) > 0 && args[0] == "rule" {
		args = args[1:]
	}
	switch {
	case len(args) > 0 && args[0] == "delete":
		r.closes, args = true, args[1:]
	case len(args) > 0 && args[0] == "prepend":
		args = args[1:]
	case len(args) > 1 && args[0] == "insert" && isNumber(args[1]):
		args = args[2:]
	}
	if len(args) == 0 || args[0] != "allow" {
		r.bad = "its ufw command is not understood"
		if len(args) > 0 && slices.Contains([]string{"deny", "reject", "limit"}, args[0]) {
			r.bad = "its rule does not accept but " + args[0]
		}
		return nil
	}
	args = args[1:]
	if len(args) > 0 && args[0] == "in" {
		args = args[1:]
	}
	return args
}

// part reads one part of the rule, and returns what follows.
func (r *ufwRule) part(args []string) []string {
	if len(args) < 2 {
		r.bad = notTheKnocker
		return nil
	}
	to := r.to
	r.to = false
	switch name, value := args[0], args[1]; {
	case name == "from" && r.from == "":
		r.from = value
	case name == "to" && value == "any":
		r.to = true
	case name == "proto" && r.proto == "" && protocol(value) != 0:
		r.proto = value
	case name == "port" && to && r.ports == nil:
		r.port(value)
	case name == "comment" && len(args) == 2:
	default:
		r.bad = "its ufw rule has " + name + " " + value + ", which a native door has not"
	}
	return args[2:]
}

func (r *ufwRule) port(value string) {
	ports, ok := portList(value, ":")
	if !ok {
		r.bad = "its port " + value + " is no number"
	}
	r.ports = ports
}

// withProtocols gives ports a protocol; without one a rule of ufw is for both.
func withProtocols(ports []config.PortRange, name string) []config.PortRange {
	protos := []packet.Proto{packet.TCP, packet.UDP}
	if name != "" {
		protos = []packet.Proto{protocol(name)}
	}
	var list []config.PortRange
	for _, proto := range protos {
		for _, p := range ports {
			p.Proto = proto
			list = append(list, p)
		}
	}
	return list
}
