package convert

import (
	"strconv"
	"strings"

	"knockd/internal/config"
	"knockd/internal/packet"
)

// knocker is what stands for the address in a command.
const knocker = "%IP%"

// rule is an iptables rule as it is read.
type rule struct {
	action, chain, source, target string
	proto                         packet.Proto
	ports                         []config.PortRange
	bad                           string
}

// iptables understands `-A|-I|-D INPUT -s %IP% -p tcp --dport N -j ACCEPT` and its variants.
func iptables(args []string) (effect, string) {
	r := &rule{}
	for i := 0; i < len(args) && r.bad == ""; {
		i += r.option(args[i:])
	}
	switch {
	case r.bad != "":
		return effect{}, r.bad
	case r.chain != "INPUT":
		return effect{}, "its rule is in the chain " + r.chain + ", not in INPUT"
	case r.target != "ACCEPT":
		return effect{}, "its rule does not accept but " + r.target
	case r.source != knocker && r.source != knocker+"/32" && r.source != knocker+"/128":
		return effect{}, "its rule is not for the knocker's address alone"
	case r.proto == 0 || len(r.ports) == 0:
		return effect{}, "its rule opens every port to the knocker, and a native door names its ports"
	}
	for i := range r.ports {
		r.ports[i].Proto = r.proto
	}
	return effect{closes: r.action == "-D", ports: r.ports}, ""
}

// option reads one option and returns how many words it took.
func (r *rule) option(args []string) int {
	name, value := args[0], ""
	if long, inline, ok := strings.Cut(name, "="); ok && strings.HasPrefix(name, "--") {
		return r.optionWith(long, inline, append([]string{long, inline}, args[1:]...)) - 1
	}
	if len(args) > 1 {
		value = args[1]
	}
	return r.optionWith(name, value, args)
}

func (r *rule) optionWith(name, value string, args []string) int {
	switch name {
	case "-A", "-I", "-D", "--append", "--insert", "--delete":
		r.action = map[string]string{"--append": "-A", "--insert": "-I", "--delete": "-D"}[name]
		if r.action == "" {
			r.action = name
		}
		r.chain = value
		if len(args) > 2 && isNumber(args[2]) {
			if r.action == "-D" {
				r.bad = "it deletes a rule by its number"
			}
			return 3
		}
		return 2
	case "-s", "--source", "--src":
		r.source = value
		return 2
	case "-p", "--protocol", "--proto":
		r.proto = protocol(value)
		if r.proto == 0 {
			r.bad = "its protocol is " + value
		}
		return 2
	case "--dport", "--destination-port", "--dports", "--destination-ports":
		ports, ok := portList(value, ":")
		if !ok {
			r.bad = "its port " + value + " is no number"
		}
		r.ports = append(r.ports, ports...)
		return 2
	case "-j", "--jump":
		r.target = value
		return 2
	case "-m", "--match":
		return r.match(value)
	case "--state", "--ctstate":
		if !strings.Contains(value, "NEW") {
			r.bad = "its rule is not for new connections"
		}
		return 2
	case "-t", "--table":
		if value != "filter" {
			r.bad = "its rule is in the table " + value
		}
		return 2
	case "--comment":
		return 2
	case "--syn":
		return 1
	case "-w", "--wait":
		if isNumber(value) {
			return 2
		}
		return 1
	default:
		r.bad = "its rule has " + name + ", which a native door has not"
		return 1
	}
}

func (r *rule) match(name string) int {
	switch name {
	case "tcp", "udp", "state", "conntrack", "multiport", "comment":
		return 2
	default:
		r.bad = "its rule matches by " + name + ", which a native door does not"
		return 2
	}
}

func isNumber(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}

func protocol(name string) packet.Proto {
	switch strings.ToLower(name) {
	case "tcp", "6":
		return packet.TCP
	case "udp", "17":
		return packet.UDP
	default:
		return 0
	}
}

// portList reads 22, 22:25 and 22,80 (with another sign for a range), without a protocol yet.
func portList(text, between string) ([]config.PortRange, bool) {
	var list []config.PortRange
	for part := range strings.SplitSeq(text, ",") {
		first, last, several := strings.Cut(part, between)
		if !several {
			last = first
		}
		from, to := portNumber(first), portNumber(last)
		if from == 0 || to < from {
			return nil, false
		}
		list = append(list, config.PortRange{First: from, Last: to})
	}
	return list, true
}

// portNumber reads a number, or one of the names that mean the same in every services(5); 0 for anything else.
func portNumber(text string) uint16 {
	switch text = strings.TrimSpace(text); text {
	case "ssh":
		return 22
	case "http":
		return 80
	case "https":
		return 443
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}
