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
	"strings"
	"sync"

	"knockd/internal/failpoint"
	"knockd/internal/packet"
)

// Parse reads one sequence, as the Sequence directive has it.
type Parse func(string) ([]packet.Port, error)

// ErrChanged is returned by Use where the current line is no longer in the file: somebody edited it. Nothing was marked.
var ErrChanged = errors.New("the sequence is no longer in the file")

// File is a one-time sequence file. Its methods may be called from any goroutine; only Use waits for the disk.
type File struct {
	path  string
	parse Parse
	// about is what is wrong with the file itself, since Open.
	about []string
	// hook is told, in tests, what was done so far.
	hook func(step string)

	// using is held while a line is marked, which may take as long as the disk does: never by what only looks.
	using sync.Mutex

	mu sync.Mutex
	// lines are the usable ones, in the order of the file.
	lines    []line
	unusable []string
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
	f.about = warningsAbout(file)
	return f, nil
}

// load takes the usable lines from the file's text.
func (f *File) load(text []byte) {
	var lines []line
	var unusable []string
	offset, number := 0, 0
	for whole := range bytes.Lines(text) {
		number++
		l := line{text: string(bytes.TrimRight(whole, "\r\n")), offset: offset}
		offset += len(whole)
		trimmed := strings.TrimSpace(l.text)
		if trimmed == "" || trimmed[0] == '#' {
			continue
		}
		var err error
		if l.sequence, err = f.parse(trimmed); err != nil {
			// The line itself is a secret, even where it is a broken one.
			unusable = append(unusable, fmt.Sprintf("line %d of %s can't be used", number, f.path))
			continue
		}
		lines = append(lines, l)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lines, f.unusable = lines, unusable
}

// first is the current line.
func (f *File) first() (line, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.lines) == 0 {
		return line{}, false
	}
	return f.lines[0], true
}

// step marks a place between two steps.
func (f *File) step(name string) {
	failpoint.Hit(name)
	if f.hook != nil {
		f.hook(name)
	}
}

// Current returns the sequence of the first usable line, false if none is left.
func (f *File) Current() ([]packet.Port, bool) {
	l, ok := f.first()
	return slices.Clone(l.sequence), ok
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
	return slices.Concat(f.unusable, f.about)
}
