package onetime

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// most bounds a file, in bytes: some 500,000 sequences.
const most = 16 << 20

// open opens the file and looks, at the descriptor, at whose it is.
func open(path string, write bool) (*os.File, error) {
	flags := os.O_RDONLY
	if write {
		flags = os.O_RDWR
	}
	// O_NONBLOCK: a FIFO in its place must not hold the daemon up.
	file, err := os.OpenFile(path, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("opening the one-time sequences: %s is a link: name the file itself", path)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the one-time sequences: %w", err)
	}
	if err := check(file); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

func check(file *os.File) error {
	stat, err := statOf(file)
	if err != nil {
		return err
	}
	path := file.Name()
	switch {
	case stat.Mode&unix.S_IFMT != unix.S_IFREG:
		return fmt.Errorf("%s is no regular file", path)
	case stat.Uid != 0 && int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("%[1]s belongs to another user, who could write sequences: chown root %[1]s", path)
	case stat.Mode&unix.S_IWOTH != 0, stat.Mode&unix.S_IWGRP != 0 && stat.Gid != 0:
		return fmt.Errorf("%[1]s can be written by others: chmod go-w %[1]s", path)
	}
	return nil
}

func statOf(file *os.File) (*unix.Stat_t, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		return nil, fmt.Errorf("looking at %s: %w", file.Name(), err)
	}
	return &stat, nil
}

// warningsAbout is what may be, but should not.
func warningsAbout(file *os.File) []string {
	path := file.Name()
	var warnings []string
	if stat, err := statOf(file); err == nil && stat.Mode&unix.S_IROTH != 0 {
		warnings = append(warnings, fmt.Sprintf("everybody can read the sequences in %[1]s: chmod o-r %[1]s", path))
	}
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS); err != nil {
		warnings = append(warnings, fmt.Sprintf("%s can't be written (%v), so that no used sequence can be marked: no knock will open", path, err))
	}
	return warnings
}

func read(file *os.File) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return nil, fmt.Errorf("reading the one-time sequences: %w", err)
	}
	if len(text) > most {
		return nil, fmt.Errorf("%s is longer than %d bytes", file.Name(), most)
	}
	return text, nil
}
