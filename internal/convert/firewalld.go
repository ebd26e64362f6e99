package convert

import (
	"regexp"
	"strings"

	"knockd/internal/config"
)

// firewallCmd understands rich rules that accept the knocker at a port, in the rules that run.
func firewallCmd(args []string) (effect, string) {
	var e effect
	for i := 0; i < len(args); i++ {
		name, value, inline := strings.Cut(args[i], "=")
		if !inline && takesValue(name) && i+1 < len(args) {
			i++
			value = args[i]
		}
		if why := e.firewalldOption(name, value); why != "" {
			return effect{}, why
		}
	}
	if len(e.ports) == 0 {
		return effect{}, "its firewall-cmd is not understood"
	}
	if e.closes && e.timeout != 0 {
		return effect{}, severalThings
	}
	return e, ""
}

func takesValue(name string) bool {
	return strings.HasSuffix(name, "-rich-rule") || name == "--zone" || name == "--timeout"
}

func (e *effect) firewalldOption(name, value string) string {
	switch name {
	case "--add-rich-rule", "--remove-rich-rule":
		ports, ok := richRule(value)
		closes := name == "--remove-rich-rule"
		if !ok {
			return "its rich rule is not understood"
		}
		if len(e.ports) > 0 && e.closes != closes {
			return severalThings
		}
		e.ports, e.closes = append(e.ports, ports...), closes
	case "--timeout":
		timeout, ok := timeSpan(value)
		if !ok {
			return "its timeout " + value + " is not understood"
		}
		e.timeout = timeout
	case "--zone", "--quiet", "-q":
	case "--permanent", "--reload", "--complete-reload", "--runtime-to-permanent":
		return "it changes the permanent rules of firewalld (" + name + ")"
	case "--add-port", "--remove-port", "--add-service", "--remove-service":
		return notTheKnocker
	case "--add-source", "--remove-source":
		return everyPort
	default:
		return "it runs firewall-cmd with " + name
	}
	return ""
}

// richRule reads `rule family="ipv4" source address="%IP%" port port="22" protocol="tcp" accept`. The services that it
// knows are those whose port is the same everywhere.
func richRule(text string) ([]config.PortRange, bool) {
	m := rich.FindStringSubmatch(strings.NewReplacer(`"`, "", "'", "").Replace(strings.Join(strings.Fields(text), " ")))
	if m == nil {
		return nil, false
	}
	if m[1] != "" {
		ports, ok := portList(m[1], "-")
		return withProtocols(ports, "tcp"), ok
	}
	ports, ok := portList(m[2], "-")
	return withProtocols(ports, m[3]), ok
}

var rich = regexp.MustCompile(`^rule family=ipv[46] source address=%IP%(?:/32|/128)? (?:service name=(ssh|http)|port port=([\d-]+) protocol=(tcp|udp)) accept$`)
