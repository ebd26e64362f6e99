package manual

import (
	"slices"
	"strings"
	"testing"

	"knockd/internal/cli"
	"knockd/internal/client"
)

func knockd(t *testing.T, args ...string) string {
	t.Helper()
	var out strings.Builder
	p := &cli.Program{Args: args, Stdout: &out, Stderr: t.Output(), Getenv: func(string) string { return "" }}
	if code := cli.Main(p); code != 0 {
		t.Fatalf("knockd %q: exit status %d", args, code)
	}
	return out.String()
}

// optionItems are the entries of a page that are about options, and the options of all of them.
func optionItems(t *testing.T, name string) (items []Item, options []string) {
	t.Helper()
	for _, it := range page(t, name) {
		if it.Word == "" && len(it.Options) > 0 {
			items = append(items, it)
			options = append(options, it.Options...)
		}
	}
	return items, options
}

// TestOptions: the manual pages and -h know the same options, and each has an example that uses the program.
func TestOptions(t *testing.T) {
	var knock strings.Builder
	client.Main(t.Context(), []string{"-h"}, "", &knock, t.Output())
	for _, program := range []struct{ page, name, help string }{
		{"knockd.8", "knockd", knockd(t, "-h")},
		{"knock.1", "knock", knock.String()},
	} {
		items, documented := optionItems(t, program.page)
		known := HelpOptions(program.help)
		if len(known) < 10 {
			t.Errorf("%s -h lists %q", program.name, known)
		}
		if missing := Missing(known, documented); len(missing) > 0 {
			t.Errorf("%s does not have %q", program.page, missing)
		}
		if missing := Missing(documented, known); len(missing) > 0 {
			t.Errorf("%s has %q, which does not exist", program.page, missing)
		}
		for _, it := range items {
			if len(it.Examples) == 0 || !example(it, program.name) && it.Options[0] != "-v" {
				t.Errorf("%s: %q has no example", program.page, it.Options)
			}
		}
	}
}

// example reports whether an example of the entry runs the program with one of its options.
func example(it Item, program string) bool {
	for _, line := range it.Examples {
		words := strings.Fields(line)
		if words[0] == program && slices.ContainsFunc(it.Options, func(o string) bool { return slices.Contains(words, o) }) {
			return true
		}
	}
	return false
}

// TestVerbs: knockd(8) and -h know the same verbs with the same options, and each has an example.
func TestVerbs(t *testing.T) {
	items := map[string]Item{}
	var documented []string
	for _, it := range page(t, "knockd.8") {
		if it.Section == "VERBS" {
			items[it.Word] = it
			documented = append(documented, it.Word)
		}
	}
	verbs := HelpVerbs(knockd(t, "-h"))
	if !slices.Equal(documented, verbs) {
		t.Errorf("knockd(8) has the verbs %q, -h %q", documented, verbs)
	}
	for _, verb := range verbs {
		it := items[verb]
		slices.Sort(it.Options)
		if usage := UsageOptions(knockd(t, verb, "-h")); !slices.Equal(it.Options, usage) {
			t.Errorf("knockd(8) has %s with %q, -h with %q", verb, it.Options, usage)
		}
		if len(it.Examples) == 0 || !strings.HasPrefix(it.Examples[0]+" ", "knockd "+verb+" ") {
			t.Errorf("%s has no example", verb)
		}
	}
}
