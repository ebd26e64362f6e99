package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/durable"
)

// fileName is the journal in its directory, newName the snapshot that is to take its place.
const (
	fileName = "journal"
	newName  = "journal.new"
)

// place is where the journal is written now; without a file it is kept in memory.
type place struct {
	dir  string
	file *os.File
	// size is the file's, in bytes; at limit it is replaced by a snapshot.
	size, limit int
}

func (p *place) close() {
	if p.file != nil {
		_ = p.file.Close()
	}
	*p = place{}
}

// readAt takes a directory and reads the journal in it; an empty dir is an empty state. The error is why it can't be
// written; known reports that the state is what is there all the same, as on a disk that became read-only.
func (j *Journal) readAt(dir string) (s state, known bool, err error) {
	s = newState()
	if dir == "" {
		return s, true, nil
	}
	lockErr := j.lock(dir)
	if lockErr != nil && !errors.Is(lockErr, errNotWritable) {
		return s, false, lockErr
	}
	path := filepath.Join(dir, fileName)
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, true, lockErr
	}
	if err != nil {
		return s, false, err
	}
	s, err = decodeAll(text)
	if errors.Is(err, errDamaged) {
		j.setAside(path)
		err = nil
	}
	if err != nil {
		return s, false, err
	}
	return s, true, lockErr
}

// setAside keeps a damaged journal for a person to look at.
func (j *Journal) setAside(path string) {
	aside := path + ".damaged-" + time.Now().UTC().Format("20060102T150405.000")
	text := fmt.Sprintf("the journal %s is damaged: what is before the damage counts, doors recorded behind it may have stayed open; kept as %s", path, aside)
	if err := os.Rename(path, aside); err != nil {
		text = fmt.Sprintf("the journal %s is damaged, and can't be set aside: %v", path, err)
	}
	j.warnings = append(j.warnings, text)
}

func readFile(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		return nil, err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	if err := checkOwner(path, &stat); err != nil {
		return nil, err
	}
	return io.ReadAll(file)
}

var (
	errNowhere = errors.New("there is no such directory")
	errUnseen  = errors.New("there is a journal that could not be read at the start: the next start takes it up")
)

// use takes a directory that may not have been ours so far, and goes on there.
func (j *Journal) use(dir string) error {
	switch {
	case dir == "":
		return errNowhere
	case dir == j.opts.Dir && j.unseen(dir):
		return errUnseen
	}
	if j.locks[dir] == nil {
		if err := j.lock(dir); err != nil {
			return err
		}
	}
	return j.begin(dir)
}

// begin writes a snapshot in dir, whose lock is ours, and goes on behind it. With an error the journal stays where it was.
func (j *Journal) begin(dir string) error {
	before := j.state
	if dir == j.opts.Dir {
		j.state.arrive()
	}
	text := j.state.snapshot()
	file, err := j.writeNew(dir, text)
	if err != nil {
		j.state.apart, j.state.took = before.apart, before.took
		_ = os.Remove(filepath.Join(dir, newName))
		return err
	}
	j.place.close()
	j.place = place{dir: dir, file: file, size: len(text), limit: max(grownAt, 2*len(text))}
	return nil
}

// writeNew puts a file with the text in the journal's place.
func (j *Journal) writeNew(dir string, text []byte) (*os.File, error) {
	path := filepath.Join(dir, newName)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a daemon that died on its way
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	j.opts.Hook("snapshot")
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync()); err == nil {
		j.opts.Hook("rename")
		err = os.Rename(path, filepath.Join(dir, fileName))
	}
	if err == nil {
		j.opts.Hook("renamed")
		err = durable.SyncDir(dir)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// unseen reports whether a journal is in a directory that was never read: it is to be taken up, by the next start, and not
// to be written over.
func (j *Journal) unseen(dir string) bool {
	if j.state.apart == "" {
		return false
	}
	_, err := os.Lstat(filepath.Join(dir, fileName))
	return !errors.Is(err, fs.ErrNotExist)
}

// remove takes away a journal that another one has replaced, if it is ours.
func (j *Journal) remove(dir string) {
	if j.locks[dir] != nil {
		_ = os.Remove(filepath.Join(dir, fileName))
	}
}
