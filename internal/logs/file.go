package logs

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// fileMode is that of a new log: who may read logs is the group's matter.
const fileMode = 0o640

// timeFormat is the reference's, in local time.
const timeFormat = "[2006-01-02 15:04] "

// file is the log file. A path that can't be opened is tried again with each line.
type file struct {
	path string
	f    *os.File
	buf  []byte
	// ends are where the lines in buf end.
	ends []int
	// torn is set where the last write ended within a line, on a full disk.
	torn bool
}

func openFile(path string) (*file, error) {
	l := &file{path: path}
	err := l.open()
	if errors.Is(err, unix.ENXIO) {
		err = nil // a FIFO that nobody reads yet
	}
	return l, err
}

func (l *file) open() error {
	// O_NONBLOCK: a FIFO without a reader must not hold a start up.
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NONBLOCK, fileMode)
	if err != nil {
		return fmt.Errorf("opening the log file: %w", err)
	}
	l.f = f
	return nil
}

// chunk bounds a write, in bytes, but for its last line.
const chunk = 64 << 10

// write writes as many lines as go into a chunk, with one call: a burst of knocks is not to wait for the file. Whoever
// follows the file sees whole lines, and O_APPEND keeps those of two daemons apart.
func (l *file) write(batch []entry) (int, error) {
	if l.f == nil {
		if err := l.open(); err != nil {
			return 0, err
		}
	}
	l.fill(batch)
	n, err := l.f.Write(l.buf)
	whole := 0
	for whole < len(l.ends) && l.ends[whole] <= n {
		whole++
	}
	if n > 0 {
		l.torn = n < len(l.buf) && (whole == 0 || l.ends[whole-1] < n)
	}
	return whole, err
}

// fill puts lines into the buffer.
func (l *file) fill(batch []entry) {
	l.buf, l.ends = l.buf[:0], l.ends[:0]
	if l.torn {
		l.buf = append(l.buf, '\n')
	}
	for _, e := range batch {
		l.buf = e.at.AppendFormat(l.buf, timeFormat)
		l.buf = append(append(l.buf, e.text...), '\n')
		l.ends = append(l.ends, len(l.buf))
		if len(l.buf) >= chunk {
			return
		}
	}
}

func (l *file) reopen() error {
	old := l.f
	l.f = nil
	err := l.open()
	if old != nil {
		// Without a rotation the line that was cut short is still the last one.
		l.torn = l.torn && sameFile(old, l.f)
		_ = old.Close()
	}
	return err
}

func sameFile(a, b *os.File) bool {
	x, err := a.Stat()
	y, err2 := b.Stat() // of no file is an error
	return err == nil && err2 == nil && os.SameFile(x, y)
}

func (l *file) close() {
	if l.f != nil {
		_ = l.f.Close()
		l.f = nil
	}
}
