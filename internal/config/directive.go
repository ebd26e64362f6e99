package config

import (
	"fmt"
	"slices"
	"strings"
)

// directive reads one line of a section.
func (p *parser) directive(line string) {
	name, value, valued := strings.Cut(line, "=")
	name, value = trim(name), trim(value)
	k, ok := p.keys[p.section][strings.ToLower(name)]
	switch {
	case p.section == "":
		p.fail(fmt.Sprintf("%q stands in no section", name), "write [options] before what concerns all doors, [NAME] before what concerns one")
	case !ok && !valued:
		p.fail(fmt.Sprintf("%q is neither a section nor KEY = VALUE", line), p.hintForLine(line))
	case !ok:
		p.unknown(name)
	case k.alone && valued:
		p.fail(k.Name+" takes no value", "write it alone on its line, without =; leave it out to switch it off")
	case !k.alone && !valued:
		p.fail(k.Name+" needs a value", "write "+k.Name+" = VALUE")
	case k.ours && value == "":
		p.fail(k.Name+" needs a value", "leave the line out for the default: "+k.Default)
	default:
		p.repeated(k)
		k.set(p, value)
	}
}

// repeated notes where a key stands, and says so if it stands twice.
func (p *parser) repeated(k *key) {
	seen := p.seen
	if p.section == SectionOptions {
		seen = p.options
	}
	if before := seen[k.Name]; before > 0 && !k.adds {
		p.report(p.line, k.ours, fmt.Sprintf("%s replaces that of line %d", k.Name, before), "remove one of them")
	}
	seen[k.Name] = p.line
}

func (p *parser) hintForLine(line string) string {
	if line[0] == ';' {
		return "comments begin with #"
	}
	word, _, _ := strings.Cut(line, " ")
	if hint := p.suggest(word); hint != "" {
		return hint
	}
	return "comments begin with #, and stand on lines of their own"
}

func (p *parser) unknown(name string) {
	if name == "" {
		p.fail("no directive before the =", "write KEY = VALUE")
		return
	}
	p.fail(fmt.Sprintf("unknown directive %q in %s", name, p.where()), p.suggest(name))
}

func (p *parser) where() string {
	if p.section == SectionOptions {
		return "[options]"
	}
	return "door " + p.door.Name
}

// suggest looks for what was meant: the other section's directive, or a similar name.
func (p *parser) suggest(name string) string {
	lower := strings.ToLower(name)
	if k := p.keys[p.other()][lower]; k != nil {
		return p.belongs(k)
	}
	if near := nearest(name, p.names(p.section)); near != "" {
		return "did you mean " + near + "?"
	}
	if near := nearest(name, p.names(p.other())); near != "" {
		return "did you mean " + near + "? " + p.belongs(p.keys[p.other()][strings.ToLower(near)])
	}
	return ""
}

func (p *parser) other() string {
	if p.section == SectionOptions {
		return SectionDoor
	}
	return SectionOptions
}

func (p *parser) belongs(k *key) string {
	if k.Section == SectionDoor {
		return k.Name + " belongs to a door: put it below a [NAME] of its own"
	}
	if meantOptions(p.door.Name) {
		return fmt.Sprintf("write [options] instead of [%s]", p.door.Name)
	}
	return k.Name + " belongs to the section [options]"
}

// meantOptions tells whether a door's name is a misspelt [options].
func meantOptions(name string) bool {
	return nearest(trim(name), []string{SectionOptions}) != ""
}

// names are those that keys may be misspelt from, sorted so that the hint is always the same.
func (p *parser) names(section string) []string {
	var names []string
	for lower, k := range p.keys[section] {
		for _, name := range append([]string{k.Name}, k.Alternatives...) {
			if strings.ToLower(name) == lower {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}
