package onetime

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"knockd/internal/failpoint"
)

// Use marks the current line as used, and returns once that is on disk; the next usable line is then current. With an
// error nothing is to be opened. It looks for the line anew: the file may have been edited, or replaced, since.
func (f *File) Use() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.lines) == 0 {
		return errors.New("no sequence is left")
	}
	file, err := open(f.path, true)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	text, err := read(file)
	if err != nil {
		return err
	}
	at := find(text, f.lines[0])
	if at < 0 {
		f.load(text)
		return fmt.Errorf("marking a line of %s: %w", f.path, ErrChanged)
	}
	return f.mark(file, text, at)
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

// mark writes the # and waits for the disk. A blank in the first column gives way to it, in place: one byte, whole or not
// at all. Without one the # is inserted, in a copy that replaces the file at once: a file that is shifted in place could
// be cut by a crash, and lose lines.
func (f *File) mark(file *os.File, text []byte, at int) error {
	marked := bytes.Clone(text)
	if text[at] == ' ' || text[at] == '\t' {
		marked[at] = '#'
	} else {
		marked = append(append(marked[:at], '#'), text[at:]...)
		if err := replace(f.path, file, marked); err == nil {
			f.load(marked)
			return nil
		}
		// No copy can be made here (a directory that is not ours, a file mounted alone): as the reference does it, at the
		// cost of the line's first digit.
		marked = bytes.Clone(text)
		marked[at] = '#'
	}
	failpoint.Hit("before a sequence is marked")
	if _, err := file.WriteAt([]byte{'#'}, int64(at)); err != nil {
		return fmt.Errorf("marking a line: %w", err)
	}
	failpoint.Hit("before the mark is on disk")
	err := file.Sync()
	failpoint.Hit("behind the mark")
	// Whatever the disk said, the line is not to be current again: it was on the wire.
	f.load(marked)
	if err != nil {
		return fmt.Errorf("marking a line on disk: %w", err)
	}
	return nil
}

// replace puts a copy with the same owner and mode in the file's place, on disk when it returns.
func replace(path string, old *os.File, text []byte) error {
	info, err := old.Stat()
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	file, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // gone already if all went well
	_, err = file.Write(text)
	if err = errors.Join(err, like(file, info), file.Sync(), file.Close()); err != nil {
		return err
	}
	failpoint.Hit("before a marked copy takes the place")
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// like gives a file another's owner and mode.
func like(file *os.File, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if ok {
		if err := file.Chown(int(stat.Uid), int(stat.Gid)); err != nil {
			return err
		}
	}
	return file.Chmod(info.Mode().Perm())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
