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
)

// fileName is the journal in its directory, lockName what keeps a second daemon out.
const (
	fileName = "journal"
	lockName = "lock"
)

// place is where the journal is written now; without a file it is kept in memory.
type place struct {
	dir  string
	file *os.File
}

func (p *place) close() {
	if p.file != nil {
		_ = p.file.Close()
		p.file = nil
	}
}

var errLocked = errors.New("another knockd uses it: stop that one first, or set State to another directory")

// lock takes the directory for this daemon, and makes it if it is absent.
func (j *Journal) lock(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := checkDir(dir); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	if err := flock(file); err != nil {
		_ = file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return errLocked
		}
		return fmt.Errorf("locking: %w", err)
	}
	j.locks = append(j.locks, file)
	return nil
}

// A daemon that was killed a moment ago may have left a child between fork and exec, which holds its lock for that long.
const (
	lockTries = 20
	lockPause = 50 * time.Millisecond
)

func flock(file *os.File) error {
	for try := 1; ; try++ {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) || try == lockTries {
			return err
		}
		time.Sleep(lockPause)
	}
}

func (j *Journal) unlock() {
	for _, file := range j.locks {
		_ = file.Close()
	}
	j.locks = nil
}

func checkDir(dir string) error {
	var stat unix.Stat_t
	if err := unix.Stat(dir, &stat); err != nil {
		return err
	}
	return checkOwner(dir, &stat)
}

// checkOwner refuses what others could have written: a stop command is run as it stands.
func checkOwner(path string, stat *unix.Stat_t) error {
	switch {
	case stat.Uid != 0 && int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to another user (uid %d)", path, stat.Uid)
	case stat.Mode&0o022 != 0:
		return fmt.Errorf("%[1]s can be written by others: chmod go-w %[1]s", path)
	}
	return nil
}

// readAt takes a directory and reads the journal in it. An empty dir is an empty state.
func (j *Journal) readAt(dir string) (state, error) {
	if dir == "" {
		return newState(), nil
	}
	if err := j.lock(dir); err != nil {
		return newState(), err
	}
	path := filepath.Join(dir, fileName)
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newState(), nil
	}
	if err != nil {
		return newState(), err
	}
	s, err := decodeAll(text)
	if errors.Is(err, errDamaged) {
		j.setAside(path)
		err = nil
	}
	return s, err
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

// begin writes a snapshot in dir and goes on behind it.
func (j *Journal) begin(dir string) error {
	text, err := j.state.snapshot()
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, "."+fileName+"-*")
	if err != nil {
		return err
	}
	j.opts.Hook("snapshot")
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync()); err == nil {
		j.opts.Hook("rename")
		err = os.Rename(file.Name(), filepath.Join(dir, fileName))
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		_ = os.Remove(file.Name())
		_ = file.Close()
		return err
	}
	j.place.close()
	j.place = place{dir: dir, file: file}
	j.state.size = len(text)
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
