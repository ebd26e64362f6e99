package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockName keeps a second daemon out of a directory.
const lockName = "lock"

var (
	errLocked = errors.New("another knockd uses it: stop that one first, or set State to another directory")
	// errNotWritable is a directory that can be read at least: nobody else can write it either.
	errNotWritable = errors.New("it can't be written")
)

// lock takes the directory for this daemon, and makes it if it is absent.
func (j *Journal) lock(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := checkDir(dir); err != nil {
		return err
	}
	path := filepath.Join(dir, lockName)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	var readOnly error
	if err != nil {
		// A disk that is read-only or full. flock(2) takes a descriptor of any mode, and the file may be there.
		readOnly = fmt.Errorf("%w: %w", errNotWritable, err)
		if file, err = os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0); err != nil {
			return readOnly
		}
	}
	if err := flock(file); err != nil {
		_ = file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return errLocked
		}
		return fmt.Errorf("locking: %w", err)
	}
	j.locks[dir] = file
	return readOnly
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
	clear(j.locks)
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
