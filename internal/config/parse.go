package config

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Parse reads a configuration. path is used in messages alone. The error is of type Errors and has every reason to
// refuse the file; what is only doubtful is in the Warnings of the result.
func Parse(path string, text []byte) (*Config, error) {
	p := newParser(path)
	// Editors of other systems put a byte order mark before the first line.
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	p.conf.Doors = make([]Door, 0, headers(text))
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		p.line++
		p.parseLine(string(line))
		if len(p.errs) >= maxErrors {
			break
		}
	}
	p.endSection()
	p.finish()
	if len(p.errs) > 0 {
		slices.SortStableFunc(p.errs, func(a, b Error) int { return a.Line - b.Line })
		return nil, p.errs
	}
	slices.SortStableFunc(p.conf.Warnings, func(a, b Diagnostic) int { return a.Line - b.Line })
	return p.conf, nil
}

// headers counts the sections: with thousands of doors, growing the list would take several times its memory.
func headers(text []byte) int {
	n := 0
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		if line = bytes.TrimLeft(line, blank); len(line) > 0 && line[0] == '[' {
			n++
		}
	}
	return n
}

// parser is the state between two lines.
type parser struct {
	conf *Config
	errs Errors
	line int
	// keys finds a directive by section and lower-case name.
	keys map[string]map[string]*key
	// section is "", SectionOptions or SectionDoor; door is the door that is being read, nil outside.
	section string
	door    *Door
	// ports is what the door's Sequence came to, options and seen are the lines of the keys read so far: in all of
	// [options], and in this door.
	ports         sequence
	options, seen map[string]int
	// badSection is set once something in this door was refused: then nothing is missed in it.
	badSection bool
	// natives are the lines of the native doors, by name.
	natives map[string]int
}

func newParser(path string) *parser {
	p := &parser{
		conf:    &Config{Path: path, Options: defaultOptions()},
		keys:    map[string]map[string]*key{SectionOptions: {}, SectionDoor: {}},
		options: map[string]int{}, seen: map[string]int{}, natives: map[string]int{},
	}
	all := table()
	for i := range all {
		for _, name := range append([]string{all[i].Name}, all[i].Alternatives...) {
			p.keys[all[i].Section][strings.ToLower(name)] = &all[i]
		}
	}
	return p
}

func defaultOptions() Options {
	return Options{
		Control: DefaultControl, State: DefaultState, CloseAtExit: true,
		MaxCommands: DefaultMaxCommands, FloodThreshold: DefaultFloodThreshold,
	}
}

func (p *parser) parseLine(line string) {
	// The reference reads C strings: what follows a NUL does not exist for it.
	line, rest, cut := strings.Cut(line, "\x00")
	if cut && trim(rest) != "" {
		p.doubt("a NUL byte ends the line, the rest is ignored", "remove it")
	}
	line = trim(line)
	switch {
	case line == "" || line[0] == '#':
	case line[0] == '[' && line[len(line)-1] == ']':
		p.endSection()
		p.header(line[1 : len(line)-1])
	case line[0] == '[':
		p.fail(fmt.Sprintf("%q is no section: nothing may follow the ]", line), "write [NAME] on a line of its own")
	default:
		p.directive(line)
	}
}

// maxName is the reference's bound on the bytes of a door's name.
const maxName = 127

func (p *parser) header(name string) {
	switch {
	case name == "":
		p.section = ""
		p.fail("a section without a name", "write [options], or [NAME] for a door")
		return
	case name == SectionOptions:
		p.section = SectionOptions
		return
	case len(name) > maxName:
		p.remark(fmt.Sprintf("only the first %d bytes of the door's name are kept", maxName), "shorten it")
		name = name[:maxName]
	}
	p.section = SectionDoor
	p.conf.Doors = append(p.conf.Doors, Door{
		Name: name, Line: p.line, SeqTimeout: DefaultSeqTimeout, CmdTimeout: DefaultCmdTimeout, OpenFor: DefaultOpenFor,
		Admit4: 32, Admit6: 128, MaxOpen: DefaultMaxOpen,
	})
	p.door = &p.conf.Doors[len(p.conf.Doors)-1]
	p.badSection, p.ports = false, sequence{}
	clear(p.seen)
}

// endSection checks what only a whole door can tell.
func (p *parser) endSection() {
	if p.door != nil {
		p.finishDoor()
	}
	p.door, p.section = nil, ""
}

// finish checks what only the whole file can tell.
func (p *parser) finish() {
	p.finishOptions()
	if len(p.conf.Doors) == 0 && len(p.errs) == 0 {
		p.report(0, true, "no door in the file: nothing ever opens", "a section [NAME] with a Sequence makes one")
	}
}

// fail refuses the file because of the current line.
func (p *parser) fail(message, hint string) { p.failAt(p.line, message, hint) }

func (p *parser) failAt(line int, message, hint string) {
	p.badSection = true
	p.errs = append(p.errs, Error{File: p.conf.Path, Line: line, Message: message, Hint: hint})
}

// doubt warns that the current line does not do what it says.
func (p *parser) doubt(message, hint string) { p.report(p.line, true, message, hint) }

// remark says something about the current line that need not be wrong.
func (p *parser) remark(message, hint string) { p.report(p.line, false, message, hint) }

func (p *parser) report(line int, serious bool, message, hint string) {
	p.conf.Warnings = append(p.conf.Warnings, Diagnostic{Line: line, Message: message, Hint: hint, Serious: serious})
}

// lineOf returns the line of a key of the current door, 0 where it has none.
func (p *parser) lineOf(name string) int { return p.seen[name] }

// lastOf returns the last line of several keys.
func (p *parser) lastOf(names ...string) int {
	last := 0
	for _, name := range names {
		last = max(last, p.seen[name])
	}
	return last
}

// firstOf returns the first line of several keys, 0 where there is none of them.
func (p *parser) firstOf(names ...string) int {
	first := math.MaxInt
	for _, name := range names {
		if line := p.seen[name]; line > 0 {
			first = min(first, line)
		}
	}
	return first % math.MaxInt
}
