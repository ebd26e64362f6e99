package manual

import (
	"os"
	"slices"
	"strings"
	"testing"

	"knockd/internal/config"
	"knockd/internal/netlab/netlabtest"
)

func TestMain(m *testing.M) { os.Exit(netlabtest.Leaks(m)) }

func page(t *testing.T, name string) []Item {
	t.Helper()
	text, err := os.ReadFile("../../docs/man/" + name)
	netlabtest.Check(t, err)
	return Items(string(text))
}

// directiveItems are the entries of knockd.conf(5) that name a directive.
func directiveItems(t *testing.T) map[string]Item {
	t.Helper()
	items := map[string]Item{}
	for _, it := range page(t, "knockd.conf.5") {
		if it.Word == "" {
			continue
		}
		if _, twice := items[it.Word]; twice {
			t.Errorf("%s has two entries", it.Word)
		}
		items[it.Word] = it
	}
	return items
}

// TestDirectives: every directive has its entry in the right section, with its other names; and no other entry is there.
func TestDirectives(t *testing.T) {
	items := directiveItems(t)
	sections := map[string]string{config.SectionOptions: "OPTIONS", config.SectionDoor: "DOORS"}
	for _, d := range config.Directives() {
		it, ok := items[d.Name]
		switch {
		case !ok:
			t.Errorf("knockd.conf(5) has no entry for %s", d.Name)
		case it.Section != sections[d.Section]:
			t.Errorf("%s stands in %s", d.Name, it.Section)
		}
		if missing := Missing(d.Alternatives, it.Alternatives); len(missing) > 0 {
			t.Errorf("the entry for %s does not name %q", d.Name, missing)
		}
		delete(items, d.Name)
	}
	for name := range items {
		t.Errorf("knockd.conf(5) has an entry for %s, which does not exist", name)
	}
}

// TestExamples: every directive has an example, which the daemon would load.
func TestExamples(t *testing.T) {
	for name, it := range directiveItems(t) {
		if len(it.Examples) == 0 {
			t.Errorf("%s has no example", name)
		}
		for _, example := range it.Examples {
			key, _, _ := strings.Cut(example, " ")
			if key != name {
				t.Errorf("the example for %s is of %s", name, key)
			}
			if _, err := config.Parse("example", []byte(around(name, it.Section, example))); err != nil {
				t.Errorf("the example for %s does not load: %v", name, err)
			}
		}
	}
}

// around puts a directive into a configuration that has what it needs.
func around(name, section, line string) string {
	if section == "OPTIONS" {
		return "[options]\n" + line + "\n"
	}
	text := "[door]\n"
	if name != "Sequence" && name != "One_Time_Sequences" {
		text += "sequence = 7000,9000,8000\n"
	}
	if slices.Contains([]string{"Open_For", "Admit", "Max_Open", "Hide"}, name) {
		text += "open = tcp/22\n"
	}
	return text + line + "\n"
}
