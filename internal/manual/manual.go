// Package manual reads the manual pages, for the tests that hold them against the code: no option, verb or directive
// without an entry and an example, and no entry for what does not exist.
//
// What a page says is for people to judge; here is only what it speaks of.
package manual

import (
	"slices"
	"strings"
)

// Item is an entry of a list in a page: one line that begins with .It, and what follows up to the next.
type Item struct {
	// Head is the line behind .It. Options and Words are its macros Fl (with their dashes) and its first Ic.
	Head    string
	Options []string
	Word    string
	// Examples are the lines of .Dl, and Alternatives the macros Ic of the text: other names for the same.
	Examples, Alternatives []string
	// Section is the .Sh that it stands in.
	Section string
}

// Items returns the entries of a page in mdoc(7).
func Items(page string) []Item {
	var items []Item
	section := ""
	for line := range strings.Lines(page) {
		macro, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case macro == ".Sh":
			section = rest
		case macro == ".It":
			items = append(items, item(section, rest))
		case len(items) == 0:
		case macro == ".Dl":
			last := &items[len(items)-1]
			last.Examples = append(last.Examples, unescape(rest))
		case macro == ".Ic":
			last := &items[len(items)-1]
			last.Alternatives = append(last.Alternatives, strings.Fields(rest)[0])
		}
	}
	return items
}

func item(section, head string) Item {
	it := Item{Head: head, Section: section}
	words := strings.Fields(head)
	for i, word := range words[:max(len(words)-1, 0)] {
		switch word {
		case "Fl":
			it.Options = append(it.Options, "-"+words[i+1])
		case "Ic":
			if it.Word == "" {
				it.Word = words[i+1]
			}
		}
	}
	return it
}

// unescape takes out the escapes that keep mdoc from reading a word as a macro or a delimiter.
func unescape(text string) string { return strings.ReplaceAll(text, `\&`, "") }

// Missing returns what is in want and not in have, sorted.
func Missing(want, have []string) []string {
	var missing []string
	for _, w := range want {
		if !slices.Contains(have, w) {
			missing = append(missing, w)
		}
	}
	slices.Sort(missing)
	return missing
}
