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
	// closes is set for one that takes back, unset for one that lets in.
	closes bool
	// ports are let in from the knocker, sorted; or the knocker is put into set.
	ports []config.PortRange
	set   *config.SetRef
	// timeout is how long the firewall itself keeps it, 0 for ever.
	timeout time.Duration
}

func (e effect) empty() bool { return len(e.ports) == 0 && e.set == nil }

// same reports whether two effects are about the same ports or set.
func (e effect) same(o effect) bool {
	if e.set != nil || o.set != nil {
		return e.set != nil && o.set != nil && *e.set == *o.set
	}
	return slices.Equal(e.ports, o.ports)
}

// effectOf understands a command for both families, or says why not.
func effectOf(c config.Command) (effect, string) {
	four, reason := effectOfLine(c.V4)
	if reason != "" || !c.HasV6 || c.V6 == "" {
		return four, reason
	}
	six, reason := effectOfLine(c.V6)
	switch {
	case reason != "":
		return four, reason
	case six.set != nil:
		return four, "its command for IPv6 fills a set: write Nft_Set_6 by hand"
	case !six.same(four) || six.closes != four.closes:
		return four, "its commands for IPv4 and IPv6 do different things"
	}
	return four, ""
}

// effectOfLine understands one command line: firewall commands joined by && or ;.
func effectOfLine(line string) (effect, string) {
	if strings.TrimSpace(line) == "" {
		return effect{}, "it runs no command for IPv4"
	}
	commands, reason := words(line)
	if reason != "" {
		return effect{}, reason
	}
	var all effect
	for i, command := range commands {
		one, reason := firewallCommand(command)
		if reason != "" {
			return effect{}, reason
		}
		if i > 0 && (one.closes != all.closes || one.set != nil || all.set != nil || one.timeout != all.timeout) {
			return effect{}, "its command does several different things"
		}
		one.ports = append(all.ports, one.ports...)
		all = one
	}
	slices.SortFunc(all.ports, comparePorts)
	all.ports = slices.Compact(all.ports)
	return all, ""
}

func comparePorts(a, b config.PortRange) int {
	if a.Proto != b.Proto {
		return int(a.Proto) - int(b.Proto)
	}
	return int(a.First) - int(b.First)
}

// firewallCommand understands one command.
func firewallCommand(args []string) (effect, string) {
	for len(args) > 1 && (base(args[0]) == "sudo" || args[0] == "-n") {
		args = args[1:]
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

func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// words splits a command line as the shell does where that is simple, and says what is not.
func words(line string) (commands [][]string, reason string) {
	var command []string
	var word strings.Builder
	inWord := false
	var quote rune
	end := func() {
		if inWord {
			command = append(command, word.String())
			word.Reset()
			inWord = false
		}
	}
	next := func() {
		end()
		if len(command) > 0 {
			commands = append(commands, command)
			command = nil
		}
	}
	runes := []rune(line)
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == '\'':
			word.WriteRune(r)
		case strings.ContainsRune("$`\\", r):
			return nil, "its command uses more of the shell than can be understood for sure"
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == ';':
			next()
		case r == '&' && i+1 < len(runes) && runes[i+1] == '&':
			i++
			next()
		case strings.ContainsRune("|&<>(){}*?[]!#~", r) && !braceOfNft(r):
			return nil, "its command uses more of the shell than can be understood for sure"
		case r == ' ' || r == '\t':
			end()
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	next()
	if quote != 0 || len(commands) == 0 {
		return nil, "its command uses more of the shell than can be understood for sure"
	}
	return commands, ""
}

// braceOfNft: braces that stand alone are words to the shell, and nft's sets need them.
func braceOfNft(r rune) bool { return r == '{' || r == '}' }
