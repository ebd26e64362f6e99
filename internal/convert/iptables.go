package convert

import (
	"slices"
	"strconv"
	"strings"

	"knockd/internal/config"
	"knockd/internal/packet"
)

// knocker is what stands for the address in a command.
const knocker = "%IP%"

// isKnocker: the knocker's address, maybe with the prefix length that means it alone.
func isKnocker(s string) bool { return s == knocker || s == knocker+"/32" || s == knocker+"/128" }

// The reasons that several programs share.
const (
	notTheKnocker = "its rule is not for the knocker's address alone"
	everyPort     = "its rule opens every port to the knocker, and a native door names its ports"
)

// rule is an iptables rule as it is read. bad is why it is not understood.
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
	case r.action == "":
		return effect{}, "its iptables command adds no rule"
	case r.chain != "INPUT":
		return effect{}, "its rule is in the chain " + r.chain + ", not in INPUT"
	case r.target != "ACCEPT":
		return effect{}, "its rule does not accept but " + r.target
	case !isKnocker(r.source):
		return effect{}, notTheKnocker
	case r.proto == 0 || len(r.ports) == 0:
		return effect{}, everyPort
	}
	for i := range r.ports {
		r.ports[i].Proto = r.proto
	}
	return effect{closes: r.action == "D", checks: r.action == "C", ports: r.ports}, ""
}

// option reads one option and returns how many words it took.
func (r *rule) option(args []string) int {
	name, value := args[0], ""
	if long, inline, ok := strings.Cut(name, "="); ok && strings.HasPrefix(name, "--") {
		return max(1, r.optionWith(long, inline, append([]string{long, inline}, args[1:]...))-1)
	}
	if len(args) > 1 {
		value = args[1]
	}
	return r.optionWith(name, value, args)
}

func (r *rule) optionWith(name, value string, args []string) int {
	switch name {
	case "-A", "-I", "-D", "-C", "--append", "--insert", "--delete", "--check":
		return r.chosen(name, value, args)
	case "-s", "--source", "--src":
		r.once(name, r.source != "")
		r.source = value
	case "-p", "--protocol", "--proto":
		r.once(name, r.proto != 0)
		if r.proto = protocol(value); r.proto == 0 {
			r.bad = "its protocol is " + value
		}
	case "--dport", "--destination-port", "--dports", "--destination-ports":
		r.once(name, r.ports != nil)
		r.port(value)
	case "-j", "--jump":
		r.once(name, r.target != "")
		r.target = value
	case "-m", "--match":
		r.match(value)
	case "--state", "--ctstate":
		if !slices.Contains(strings.Split(value, ","), "NEW") {
			r.bad = "its rule is not for new connections"
		}
	case "-t", "--table":
		if value != "filter" {
			r.bad = "its rule is in the table " + value
		}
	case "--comment":
	case "--syn", "-n":
		return 1
	case "-w", "--wait":
		if !isNumber(value) {
			return 1
		}
	default:
		r.bad = "its rule has " + name + ", which a native door has not"
		return 1
	}
	return 2
}

// once refuses what iptables refuses too: an option that stands twice.
func (r *rule) once(name string, before bool) {
	if before {
		r.bad = "its rule has " + name + " twice"
	}
}

// chosen reads what is done to which chain, and where.
func (r *rule) chosen(name, chain string, args []string) int {
	r.once(name, r.action != "")
	r.action, r.chain = strings.ToUpper(strings.TrimLeft(name, "-")[:1]), chain
	if len(args) < 3 || !isNumber(args[2]) {
		return 2
	}
	if r.action != "I" {
		r.bad = "it names a rule by its number"
	}
	return 3
}

func (r *rule) port(value string) {
	ports, ok := portList(value, ":")
	if !ok {
		r.bad = "its port " + value + " is no number"
	}
	r.ports = ports
}

func (r *rule) match(name string) {
	if !slices.Contains([]string{"tcp", "udp", "state", "conntrack", "multiport", "comment"}, name) {
		r.bad = "its rule matches by " + name + ", which a native door does not"
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

// services are the names that mean the same in every services(5).
func services() map[string]uint16 { return map[string]uint16{"ssh": 22, "http": 80, "https": 443} }

// portNumber reads a number or one of those names, 0 for anything else.
func portNumber(text string) uint16 {
	text = strings.TrimSpace(text)
	if n, ok := services()[text]; ok {
		return n
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}
