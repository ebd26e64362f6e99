package packages

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"knockd/internal/manual"
	"knockd/internal/netlab/netlabtest"
)

// line is a command line to complete, and what must be offered.
type line struct {
	words []string
	want  []string
}

// lines asks the installed programs what there is: verbs, and the long options of each command line.
func lines(m *machine) []line {
	help := m.run("knockd -h")
	verbs := manual.HelpVerbs(help)
	all := []line{
		{[]string{"knockd", ""}, verbs},
		{[]string{"knockd", "--"}, long(manual.HelpOptions(help))},
	}
	knock, _ := m.try("knock -h")
	all = append(all, line{[]string{"knock", "--"}, long(manual.HelpOptions(knock))})
	for _, verb := range verbs {
		options := long(manual.UsageOptions(m.run("knockd " + verb + " -h")))
		all = append(all, line{[]string{"knockd", verb, "--"}, append(options, "--help")})
	}
	return all
}

// long returns the long options; -c alone is --config.
func long(options []string) []string {
	var list []string
	for _, option := range options {
		if option == "-c" {
			option = "--config"
		}
		if strings.HasPrefix(option, "--") && !slices.Contains(list, option) {
			list = append(list, option)
		}
	}
	return list
}

// shells complete a command line and print what they offer, one word a line.
var shells = map[string]func(words []string) string{
	"bash": func(words []string) string {
		return "bash -c '. /usr/share/bash-completion/completions/" + words[0] + "; COMP_WORDS=(" + quoted(words) + "); COMP_CWORD=" +
			string(rune('0'+len(words)-1)) + `; _` + words[0] + `; printf "%s\n" "${COMPREPLY[@]}"'`
	},
	"fish": func(words []string) string {
		return "fish -c 'complete -C \"" + strings.Join(words, " ") + "\"' </dev/null | cut -f 1"
	},
	// The functions that would ask the user print what they are given.
	"zsh": func(words []string) string {
		return "zsh -f -c '_describe() { print -l -- ${${(P)2}%%:*} }; _arguments() { print -l -- \"$@\" }; compadd() {}; " +
			"setopt extended_glob; service=" + words[0] + "; words=(" + quoted(words) + "); CURRENT=" + string(rune('0'+len(words))) +
			"; . /usr/share/zsh/vendor-completions/_knockd'"
	},
}

func quoted(words []string) string { return `"` + strings.Join(words, `" "`) + `"` }

var offered = regexp.MustCompile(`^(?:\(.*\))?(--[\w-]+|[a-z]+)`)

// TestCompletion: every shell offers every verb and every long option where it can stand, and nothing else.
func TestCompletion(t *testing.T) {
	m := newMachine(t, netlabtest.NewNamespace(t))
	m.install(built(t, "*-linux-"+hostArch+".deb"))
	for shell, complete := range shells {
		for _, l := range lines(m) {
			out := m.run(complete(l.words))
			var got []string
			for word := range strings.Lines(out) {
				found := offered.FindStringSubmatch(word)
				if found != nil && strings.HasPrefix(found[1], "-") == (l.words[len(l.words)-1] != "") {
					got = append(got, found[1])
				}
			}
			if missing := manual.Missing(l.want, got); len(missing) > 0 {
				t.Errorf("%s: %q does not offer %q but %q\n%s", shell, l.words, missing, got, out)
			}
			if more := manual.Missing(got, l.want); len(more) > 0 {
				t.Errorf("%s: %q offers %q", shell, l.words, more)
			}
		}
	}
}
