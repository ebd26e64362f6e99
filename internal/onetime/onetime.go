// Package onetime keeps one-time sequence files: which line is current, and marking it as used, on disk, before anything
// opens.
//
// When a line is used, and what follows, belongs to package daemon.
package onetime

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"

	"knockd/internal/packet"
)

// Parse reads one sequence, as the Sequence directive has it.
type Parse func(string) ([]packet.Port, error)

// ErrChanged is returned by Use where the current line is no longer in the file: somebody edited it. Nothing was marked.
var ErrChanged = errors.New("the sequence is no longer in the file")

// File is a one-time sequence file. Its methods may be called from any goroutine.
type File struct {
	path  string
	parse Parse

	mu sync.Mutex
	// lines are the usable ones, in the order of the file.
	lines    []line
	warnings []string
}

// line is one usable line.
type line struct {
	// text is the whole line as it stands, without its end; offset is where it begins, in bytes.
	text     string
	offset   int
	sequence []packet.Port
}

// Open reads the file. It must be a regular file that only its owner, root or ourselves, can write; a link is not
// followed. That none of its lines is usable is no error here: Current tells.
func Open(path string, parse Parse) (*File, error) {
	f := &File{path: path, parse: parse}
	file, err := open(path, false)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := read(file)
	if err != nil {
		return nil, err
	}
	f.load(text)
	if readable, err := readableByOthers(file); err == nil && readable {
		f.warnings = append(f.warnings, fmt.Sprintf("everybody can read the sequences in %[1]s: chmod o-r %[1]s", path))
	}
	return f, nil
}

// load takes the usable lines from the file's text.
func (f *File) load(text []byte) {
	f.lines, f.warnings = nil, nil
	offset, number := 0, 0
	for whole := range bytes.Lines(text) {
		number++
		f.add(line{text: string(bytes.TrimRight(whole, "\r\n")), offset: offset}, number)
		offset += len(whole)
	}
}

func (f *File) add(l line, number int) {
	trimmed := bytes.TrimSpace([]byte(l.text))
	if len(trimmed) == 0 || l.text[0] == '#' || trimmed[0] == '#' {
		return
	}
	sequence, err := f.parse(string(trimmed))
	if err != nil {
		// The line itself is a secret, even where it is a broken one.
		f.warnings = append(f.warnings, fmt.Sprintf("line %d of %s can't be used", number, f.path))
		return
	}
	l.sequence = sequence
	f.lines = append(f.lines, l)
}

// Current returns the sequence of the first usable line, false if none is left.
func (f *File) Current() ([]packet.Port, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.lines) == 0 {
		return nil, false
	}
	return slices.Clone(f.lines[0].sequence), true
}

// Remaining returns the sequences that are left, the current one first.
func (f *File) Remaining() [][]packet.Port {
	f.mu.Lock()
	defer f.mu.Unlock()
	left := make([][]packet.Port, len(f.lines))
	for i, l := range f.lines {
		left[i] = slices.Clone(l.sequence)
	}
	return left
}

// Warnings returns what an operator should know of the file; never a sequence.
func (f *File) Warnings() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.warnings)
}
