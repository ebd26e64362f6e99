// Package conffile reads the bytes of a configuration whose commands are going to be run as root: it trusts the file only
// if nobody else could have written it.
//
// What the bytes mean belongs to package config.
package conffile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// MaxSize is the size in bytes of the largest file that is read.
const MaxSize = 16 << 20

// The reasons of a Refusal.
var (
	// ErrNotRegular: a directory, a pipe, a device or a socket.
	ErrNotRegular = errors.New("not a regular file")
	// ErrWritable: by the file's group, unless that is root, or by everybody.
	ErrWritable = errors.New("others may write to it, and so could run commands as this user")
	// ErrOwner: neither root nor the user who runs this.
	ErrOwner = errors.New("it belongs to somebody else, who could run commands as this user")
	// ErrTooLarge: more than MaxSize.
	ErrTooLarge = errors.New("too large for a configuration")
)

// Refusal is why a file is not read. It unwraps to one of the reasons above.
type Refusal struct {
	Path   string
	Reason error
	// Detail is what was seen, Hint what to do about it, a command where there is one; both may be empty.
	Detail, Hint string
}

// Error returns "PATH: reason (detail): hint".
func (r *Refusal) Error() string {
	text := r.Path + ": " + r.Reason.Error()
	if r.Detail != "" {
		text += " (" + r.Detail + ")"
	}
	if r.Hint != "" {
		text += ": " + r.Hint
	}
	return text
}

// Unwrap returns the reason.
func (r *Refusal) Unwrap() error { return r.Reason }

// Open reads the whole file. Links in the path are followed, as container runtimes mount configurations through them;
// what counts is the file at their end, whose owner and mode are looked at on the open descriptor, so that nobody can
// change them in between. The error is a *Refusal or says what the system said.
func Open(path string) ([]byte, error) {
	// Opening a device can do things (a watchdog starts, a tape rewinds): look before, and again on the descriptor.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, notRegular(path, info)
	}
	file, err := open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return read(path, file)
}

// open opens the file and checks what it is on the descriptor.
func open(path string) (*os.File, error) {
	// Without O_NONBLOCK a pipe that took the file's place would hold us up. os adds O_CLOEXEC.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	info, err := file.Stat()
	if err == nil {
		err = check(path, info, os.Geteuid())
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// read bounds what it reads, as a file may grow meanwhile.
func read(path string, file io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(file, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the configuration %s: %w", path, err)
	}
	if len(text) > MaxSize {
		return nil, tooLarge(path)
	}
	return text, nil
}

// check decides by what the descriptor says whether the file is to be trusted by the user euid.
func check(path string, info os.FileInfo, euid int) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch mode := info.Mode(); {
	case !mode.IsRegular() || !ok:
		return notRegular(path, info)
	case stat.Uid != 0 && int(stat.Uid) != euid:
		return &Refusal{Path: path, Reason: ErrOwner, Detail: fmt.Sprintf("uid %d", stat.Uid), Hint: "chown root " + path}
	case mode.Perm()&0o002 != 0 || mode.Perm()&0o020 != 0 && stat.Gid != 0:
		return &Refusal{Path: path, Reason: ErrWritable, Detail: fmt.Sprintf("mode %04o", mode.Perm()), Hint: "chmod go-w " + path}
	case info.Size() > MaxSize:
		return tooLarge(path)
	}
	return nil
}

func notRegular(path string, info os.FileInfo) error {
	return &Refusal{Path: path, Reason: ErrNotRegular, Detail: info.Mode().String(), Hint: "write the configuration into a file"}
}

func tooLarge(path string) error {
	return &Refusal{Path: path, Reason: ErrTooLarge, Detail: fmt.Sprintf("at most %d MiB", MaxSize>>20)}
}
