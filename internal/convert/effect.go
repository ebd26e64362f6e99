package convert

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"knockd/internal/config"
)

// effect is what a command line does to the firewall.
type effect struct {
	// closes is set for one that takes back, checks for one that only looks; else it lets in.
	closes, checks bool
	// ports are let in from the knocker, sorted; or the knocker is put into sets.
	ports      []config.PortRange
	set4, set6 *config.SetRef
	// timeout is how long the firewall itself keeps it, 0 for ever.
	timeout time.Duration
}

// items are the effect's parts, to be compared.
func (e effect) items() []string {
	var list []string
	for _, p := range e.ports {
		list = append(list, p.String())
	}
	if e.set4 != nil {
		list = append(list, "4 "+e.set4.String())
	}
	if e.set6 != nil {
		list = append(list, "6 "+e.set6.String())
	}
	return list
}

// same reports whether two effects are about the same ports or sets.
func (e effect) same(o effect) bool { return slices.Equal(e.items(), o.items()) }

// String prints what is opened as the Open directive has it.
func (e effect) String() string {
	parts := make([]string, len(e.ports))
	for i, p := range e.ports {
		parts[i] = p.String()
	}
	return strings.Join(parts, ",")
}

func (e effect) setNames() string {
	var names []string
	for _, set := range []*config.SetRef{e.set4, e.set6} {
		if set != nil {
			names = append(names, set.String())
		}
	}
	return strings.Join(names, " and ")
}

// effectOf understands a command for both families, or says why not.
func effectOf(c config.Command) (effect, string) {
	four, why := effectOfLine(c.V4)
	if why == "" && four.set4 != nil && four.set4.Family == "ip6" {
		why = "its set is of the family ip6"
	}
	if why != "" || !c.HasV6 || c.V6 == "" {
		return four, why
	}
	six, why := effectOfLine(c.V6)
	switch {
	case why != "":
		return four, "for IPv6 " + why
	case four.set4 != nil && six.set4 != nil && *four.set4 != *six.set4 && six.closes == four.closes && six.timeout == four.timeout:
		four.set6 = six.set4
		return four, ""
	case !six.same(four) || four.set4 != nil || six.closes != four.closes || six.timeout != four.timeout:
		return four, "its commands for IPv4 and IPv6 do different things"
	}
	return four, ""
}

const severalThings = "its command does several different things"

// effectOfLine understands one command line: firewall commands that follow each other.
func effectOfLine(line string) (effect, string) {
	if strings.TrimSpace(line) == "" {
		return effect{}, "it runs no command for IPv4"
	}
	steps, why := parseShell(line)
	if why != "" {
		return effect{}, why
	}
	if i := slices.IndexFunc(steps, isSleep); i > 0 && i+1 < len(steps) {
		return sleeps(steps, i)
	}
	return joined(steps)
}

func isSleep(s step) bool { return base(s.words[0]) == "sleep" }

// sleeps understands "open; sleep 10; close".
func sleeps(steps []step, i int) (effect, string) {
	opens, why := joined(steps[:i])
	if why != "" {
		return effect{}, why
	}
	closes, why := joined(steps[i+1:])
	if why != "" {
		return effect{}, why
	}
	if len(steps[i].words) != 2 || steps[i].or {
		return effect{}, severalThings
	}
	span, ok := timeSpan(steps[i].words[1])
	if !ok || span <= 0 || opens.closes || !closes.closes || !opens.same(closes) || opens.timeout != 0 {
		return effect{}, severalThings
	}
	opens.timeout = span
	return opens, ""
}

// joined understands commands that do the same to several ports.
func joined(steps []step) (effect, string) {
	var sum effect
	for i := 0; i < len(steps); i++ {
		one, why := firewallCommand(steps[i].words)
		switch {
		case why != "":
			return effect{}, why
		case one.checks:
			i++
			one, why = checked(one, steps[i:])
		case i+1 < len(steps) && steps[i+1].or:
			i++
			why = harmless(steps[i].words)
		}
		if why == "" {
			why = sum.join(one)
		}
		if why != "" {
			return effect{}, why
		}
	}
	sum.ports = merge(sum.ports)
	return sum, ""
}

// checked understands "look whether the rule is there || add it", and "... && delete it".
func checked(one effect, rest []step) (effect, string) {
	if len(rest) == 0 {
		return effect{}, severalThings
	}
	next, why := firewallCommand(rest[0].words)
	if why == "" && (next.checks || !one.same(next) || rest[0].or == next.closes) {
		why = severalThings
	}
	return next, why
}

// harmless understands "|| true".
func harmless(words []string) string {
	if len(words) == 1 && (base(words[0]) == "true" || words[0] == ":") {
		return ""
	}
	return severalThings
}

// join adds what another command of the line does.
func (e *effect) join(o effect) string {
	first := len(e.ports) == 0 && e.set4 == nil
	if !first && (o.closes != e.closes || o.timeout != e.timeout || o.set4 != nil || e.set4 != nil) {
		return severalThings
	}
	o.ports = append(e.ports, o.ports...)
	*e = o
	return ""
}

// merge sorts ports, and joins those that overlap: Open names every port once.
func merge(ports []config.PortRange) []config.PortRange {
	slices.SortFunc(ports, comparePorts)
	var list []config.PortRange
	for _, p := range ports {
		if n := len(list); n > 0 && list[n-1].Proto == p.Proto && p.First <= list[n-1].Last {
			list[n-1].Last = max(list[n-1].Last, p.Last)
			continue
		}
		list = append(list, p)
	}
	return list
}

func comparePorts(a, b config.PortRange) int {
	if a.Proto != b.Proto {
		return int(a.Proto) - int(b.Proto)
	}
	return int(a.First) - int(b.First)
}

// firewallCommand understands one command.
func firewallCommand(args []string) (effect, string) {
	if base(args[0]) == "sudo" {
		args = args[1:]
		if len(args) > 0 && args[0] == "-n" {
			args = args[1:]
		}
	}
	if len(args) == 0 {
		return effect{}, "it runs sudo alone"
	}
	switch name := base(args[0]); name {
	case "iptables", "ip6tables", "iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy":
		return iptables(args[1:])
	case "nft":
		return nft(args[1:])
	case "ufw":
		return ufw(args[1:])
	case "firewall-cmd":
		return firewallCmd(args[1:])
	default:
		return effect{}, fmt.Sprintf("it runs %s, which is no firewall command", name)
	}
}

// base is the name of a program of the system. One that lies elsewhere may be anything, whatever its name, and keeps its
// path.
func base(path string) string {
	switch dir, name := path[:strings.LastIndexByte(path, '/')+1], path[strings.LastIndexByte(path, '/')+1:]; dir {
	case "", "/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/usr/local/sbin/":
		return name
	default:
		return path
	}
}
