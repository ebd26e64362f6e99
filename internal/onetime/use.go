package onetime

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// usesMost is how often Use begins anew where the file changes while a line of it is marked.
const usesMost = 3

// Use marks the current line as used, and returns once that is on disk; the next usable line is then current. With an
// error nothing is to be opened. It looks for the line anew: the file may have been edited, or replaced, since.
func (f *File) Use() error {
	f.using.Lock()
	defer f.using.Unlock()
	current, ok := f.first()
	if !ok {
		return errors.New("no sequence is left")
	}
	for try := 1; ; try++ {
		err := f.use(current)
		if errors.Is(err, errEdited) && try < usesMost {
			continue
		}
		return err
	}
}

// use marks a line in the file as it is now.
func (f *File) use(current line) error {
	file, err := open(f.path, true)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("looking at %s: %w", f.path, err)
	}
	text, err := read(file)
	if err != nil {
		return err
	}
	at := find(text, current)
	if at < 0 {
		f.load(text)
		return fmt.Errorf("marking a line of %s: %w", f.path, ErrChanged)
	}
	m := marking{f: f, file: file, info: info, text: text, at: at}
	return m.mark()
}

// find returns where a line stands, at its old place or another; -1 if nowhere.
func find(text []byte, l line) int {
	offset, found := 0, -1
	for whole := range bytes.Lines(text) {
		if string(bytes.TrimRight(whole, "\r\n")) == l.text && (found < 0 || offset == l.offset) {
			found = offset
		}
		offset += len(whole)
	}
	return found
}

// marking is a line on its way to be marked: at, in text, in a file that info was told of before it was read.
type marking struct {
	f    *File
	file *os.File
	info fs.FileInfo
	text []byte
	at   int
}

// errEdited asks for another try: the file is no longer the one that was read.
var errEdited = fmt.Errorf("%w: it is being edited", ErrChanged)

// mark writes the # and waits for the disk. A blank in the first column gives way to it, in place: one byte, whole or not
// at all. Without one the # is inserted, in a copy that replaces the file at once: a file that is shifted in place could
// be cut by a crash, and lose lines.
func (m marking) mark() error {
	if c := m.text[m.at]; c == ' ' || c == '\t' {
		return m.overwrite()
	}
	marked := append(append(bytes.Clone(m.text[:m.at]), '#'), m.text[m.at:]...)
	err := m.replace(marked)
	switch {
	case err == nil:
		m.f.load(marked)
		return nil
	case errors.Is(err, errEdited):
		return err
	}
	// No copy can be made here (a directory that is not ours, a file mounted alone): as the reference does it, at the
	// cost of the line's first digit.
	return m.overwrite()
}

// overwrite writes the # over the line's first byte.
func (m marking) overwrite() error {
	m.f.step("before a sequence is marked")
	if m.edited() {
		return errEdited
	}
	if _, err := m.file.WriteAt([]byte{'#'}, int64(m.at)); err != nil {
		return fmt.Errorf("marking a line: %w", err)
	}
	m.f.step("before the mark is on disk")
	err := m.file.Sync()
	m.f.step("behind the mark")
	if m.moved() || !m.marked() {
		return errEdited // nobody reads the file that the mark is in, or somebody wrote over it
	}
	// Whatever the disk said, the line is not to be current again: it was on the wire.
	marked := bytes.Clone(m.text)
	marked[m.at] = '#'
	m.f.load(marked)
	if err != nil {
		return fmt.Errorf("marking a line on disk: %w", err)
	}
	return nil
}

// moved reports whether another file has taken the place of the one that was read.
func (m marking) moved() bool {
	now, err := os.Lstat(m.f.path)
	return err != nil || !os.SameFile(now, m.info)
}

// marked reports whether the mark is where it was written.
func (m marking) marked() bool {
	line, _, _ := bytes.Cut(m.text[m.at:], []byte{'\n'})
	now := make([]byte, len(line))
	_, err := m.file.ReadAt(now, int64(m.at))
	return err == nil && now[0] == '#' && bytes.Equal(now[1:], line[1:])
}

// edited reports whether the file was written since it was read, or another has taken its place.
func (m marking) edited() bool {
	now, err := os.Lstat(m.f.path)
	return err != nil || !os.SameFile(now, m.info) || now.Size() != m.info.Size() || !now.ModTime().Equal(m.info.ModTime())
}
