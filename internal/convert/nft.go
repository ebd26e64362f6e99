package convert

import (
	"regexp"
	"slices"
	"strings"

	"knockd/internal/config"
)

const notUnderstood = "its nft command is not understood"

// nft understands elements of a set, and rules that accept the knocker at ports.
func nft(args []string) (effect, string) {
	// nft joins its arguments by blanks itself.
	f := strings.Fields(strings.NewReplacer("{", " { ", "}", " } ", ",", " , ").Replace(strings.Join(args, " ")))
	switch {
	case len(f) >= 4 && slices.Contains([]string{"add", "insert", "create", "delete"}, f[0]) && !isFamily(f[2]):
		// Without a family it is ip.
		f = slices.Insert(f, 2, "ip")
	case len(f) < 6:
		return effect{}, notUnderstood
	}
	switch {
	case (f[0] == "add" || f[0] == "delete" || f[0] == "create") && f[1] == "element":
		return nftElement(f)
	case (f[0] == "add" || f[0] == "insert") && f[1] == "rule":
		return nftRule(f)
	default:
		return effect{}, notUnderstood
	}
}

func isFamily(s string) bool {
	return slices.Contains([]string{"ip", "ip6", "inet", "arp", "bridge", "netdev"}, s)
}

// nftElement understands `add element inet filter knockers { %IP% timeout 1h }`, and its deletion.
func nftElement(f []string) (effect, string) {
	if len(f) < 8 || f[5] != "{" || f[len(f)-1] != "}" || f[6] != knocker {
		return effect{}, notUnderstood
	}
	if !slices.Contains([]string{"ip", "ip6", "inet"}, f[2]) {
		return effect{}, "its set is of the family " + f[2]
	}
	e := effect{closes: f[0] == "delete", set4: &config.SetRef{Family: f[2], Table: f[3], Set: f[4]}}
	switch rest := f[7 : len(f)-1]; {
	case len(rest) == 0:
	case len(rest) == 2 && rest[0] == "timeout" && !e.closes:
		timeout, ok := timeSpan(rest[1])
		if !ok {
			return effect{}, "its timeout " + rest[1] + " is not understood"
		}
		e.timeout = timeout
	default:
		return effect{}, notUnderstood
	}
	return e, ""
}

// nftRule understands `add rule inet filter input ip saddr %IP% tcp dport 22 accept`.
func nftRule(f []string) (effect, string) {
	if len(f) < 6 {
		return effect{}, notUnderstood
	}
	if !strings.EqualFold(f[4], "input") {
		return effect{}, "its rule is in the chain " + f[4] + ", not in input"
	}
	text := " " + strings.Join(f[5:], " ") + " "
	for _, harmless := range []string{" ct state new ", " counter "} {
		text = strings.Replace(text, harmless, " ", 1)
	}
	m := nftAccept.FindStringSubmatch(text)
	if m == nil {
		return effect{}, "its nft rule is not understood"
	}
	ports, ok := portList(strings.NewReplacer("{", "", "}", "", " ", "").Replace(m[2]), "-")
	if !ok {
		return effect{}, "its port " + m[2] + " is no number"
	}
	return effect{ports: withProtocols(ports, m[1])}, ""
}

var nftAccept = regexp.MustCompile(`^ ip6? saddr %IP% (tcp|udp) dport ([\w-]+|\{[ \w,-]+\}) accept $`)
