package convert

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"knockd/internal/config"
	"knockd/internal/packet"
)

// nft understands elements of a set, and rules that accept the knocker at ports.
func nft(args []string) (effect, string) {
	// nft joins its arguments by blanks itself.
	f := strings.Fields(strings.NewReplacer("{", " { ", "}", " } ", ",", " , ").Replace(strings.Join(args, " ")))
	if len(f) < 6 {
		return effect{}, "its nft command is not understood"
	}
	switch {
	case (f[0] == "add" || f[0] == "delete") && f[1] == "element":
		return nftElement(f)
	case (f[0] == "add" || f[0] == "insert") && f[1] == "rule":
		return nftRule(f)
	default:
		return effect{}, "its nft command is not understood"
	}
}

func nftElement(f []string) (effect, string) {
	if len(f) < 8 || f[5] != "{" || f[len(f)-1] != "}" || f[6] != knocker {
		return effect{}, "its nft command is not understood"
	}
	if !slices.Contains([]string{"ip", "inet"}, f[2]) {
		return effect{}, "its set is of the family " + f[2]
	}
	e := effect{closes: f[0] == "delete", set: &config.SetRef{Family: f[2], Table: f[3], Set: f[4]}}
	switch rest := f[7 : len(f)-1]; {
	case len(rest) == 2 && rest[0] == "timeout":
		timeout, err := time.ParseDuration(strings.ReplaceAll(rest[1], "d", "x"))
		if err != nil {
			return effect{}, "its timeout " + rest[1] + " is not understood"
		}
		e.timeout = timeout
	case len(rest) != 0:
		return effect{}, "its nft command is not understood"
	}
	return e, ""
}

func nftRule(f []string) (effect, string) {
	text := " " + strings.Join(f[5:], " ") + " "
	if !strings.EqualFold(f[4], "input") {
		return effect{}, "its rule is in the chain " + f[4] + ", not in input"
	}
	for _, harmless := range []string{" ct state new ", " counter "} {
		text = strings.Replace(text, harmless, " ", 1)
	}
	m := nftAccept.FindStringSubmatch(text)
	if m == nil {
		return effect{}, "its nft rule is not understood"
	}
	ports, ok := portList(strings.NewReplacer("{", "", "}", "", " ", "").Replace(m[2]), "-")
	if !ok {
		return effect{}, "its ports " + m[2] + " are no numbers"
	}
	for i := range ports {
		ports[i].Proto = protocol(m[1])
	}
	return effect{ports: ports}, ""
}

var nftAccept = regexp.MustCompile(`^ ip6? saddr %IP% (tcp|udp) dport (\d+(?:-\d+)?|\{[ \d,-]+\}) accept $`)

// ufw understands `ufw allow from %IP% to any port N [proto P]`, and its deletion.
func ufw(args []string) (effect, string) {
	text := " " + strings.Join(args, " ") + " "
	text = ufwInsert.ReplaceAllString(text, " ")
	m := ufwAllow.FindStringSubmatch(text)
	if m == nil {
		if strings.Contains(text, " from "+knocker+" ") && !strings.Contains(text, " port ") {
			return effect{}, "its rule opens every port to the knocker, and a native door names its ports"
		}
		return effect{}, "its ufw command is not understood"
	}
	proto := m[2]
	if proto == "" {
		proto = m[4]
	}
	ports, ok := portList(m[3], ":")
	if !ok {
		return effect{}, "its port " + m[3] + " is no number"
	}
	return effect{closes: m[1] != "", ports: withProtocols(ports, proto)}, ""
}

var (
	ufwInsert = regexp.MustCompile(` (--force|insert \d+|prepend) `)
	ufwAllow  = regexp.MustCompile(`^ (delete )?allow (?:in )?(?:proto (tcp|udp) )?from %IP% to any port ([\d:,]+)(?: proto (tcp|udp))? $`)
)

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

// firewallCmd understands rich rules that accept the knocker at a port.
func firewallCmd(args []string) (effect, string) {
	var e effect
	understood := false
	for i := 0; i < len(args); i++ {
		name, value, inline := strings.Cut(args[i], "=")
		if !inline && i+1 < len(args) && strings.HasPrefix(name, "--") && name != "--quiet" && name != "-q" {
			i++
			value = args[i]
		}
		switch name {
		case "--add-rich-rule", "--remove-rich-rule":
			ports, ok := richRule(value)
			if !ok {
				return effect{}, "its rich rule is not understood"
			}
			e.ports, e.closes, understood = ports, name == "--remove-rich-rule", true
		case "--timeout":
			timeout, err := time.ParseDuration(value)
			if err != nil {
				timeout, err = time.ParseDuration(value + "s")
			}
			if err != nil {
				return effect{}, "its timeout " + value + " is not understood"
			}
			e.timeout = timeout
		case "--zone", "--quiet", "-q":
		default:
			return effect{}, "it runs firewall-cmd with " + name
		}
	}
	if !understood {
		return effect{}, "its firewall-cmd is not understood"
	}
	return e, ""
}

func richRule(text string) ([]config.PortRange, bool) {
	m := rich.FindStringSubmatch(strings.NewReplacer(`"`, "", "'", "").Replace(strings.Join(strings.Fields(text), " ")))
	if m == nil {
		return nil, false
	}
	if m[1] == "ssh" {
		return []config.PortRange{{Proto: packet.TCP, First: 22, Last: 22}}, true
	}
	ports, ok := portList(m[2], "-")
	return withProtocols(ports, m[3]), ok
}

var rich = regexp.MustCompile(`^rule family=ipv[46] source address=%IP%(?:/32|/128)? (?:service name=(ssh)|port port=([\d-]+) protocol=(tcp|udp)) accept$`)
