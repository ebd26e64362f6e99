package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"knockd/internal/config"
	"knockd/internal/durable"
)

// runtimeDir is where what does not outlive a boot is kept.
const runtimeDir = "/run/knockd"

// stateDirs are the directories that may hold state, the better first.
func (d *Daemon) stateDirs() []string { return stateDirsOf(&d.conf.conf.Options) }

func stateDirsOf(o *config.Options) []string {
	if o.State == config.StateNone {
		return []string{runtimeDir}
	}
	return []string{o.State, runtimeDir}
}

// privateDir makes a directory for root alone; runtimeDir is open to be read, for the control socket is in it.
func privateDir(dir string) error {
	mode := fs.FileMode(0o700)
	if dir == runtimeDir {
		mode = 0o755
	}
	return os.MkdirAll(dir, mode)
}

// writePrivate replaces a file by one that is on disk, whole, with mode 0600.
func writePrivate(dir, name string, text []byte) error {
	if err := privateDir(dir); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, "."+name+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // gone already if all went well
	_, err = file.Write(text)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

// readPrivate reads a file that only its owner, root or ourselves, can have written.
func readPrivate(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o022 != 0 || int(st.Uid) != os.Geteuid() && st.Uid != 0 {
		return nil, fmt.Errorf("%s: not a file of our own, or writable by others", path)
	}
	return readAll(file)
}

// trialMark names the file that holds the digest of a configuration that was tried and is not confirmed.
const trialMark = "trial"

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// markTrial notes that a configuration is on trial. It must be on disk before the trial begins: a daemon that is
// restarted in between must not take the file for a good one.
func markTrial(dirs []string, text []byte) error {
	var errs []error
	for _, dir := range dirs {
		err := writePrivate(dir, trialMark, []byte(digest(text)+"\n"))
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("noting the trial: %w", errors.Join(errs...))
}

func unmarkTrial(dirs []string) error {
	for _, dir := range dirs {
		if err := os.Remove(filepath.Join(dir, trialMark)); err != nil && !errors.Is(err, fs.ErrNotExist) && !isUnwritable(err) {
			return err
		}
	}
	return nil
}

// isUnwritable reports whether a directory can't hold files of ours at all, so that there is none.
func isUnwritable(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) || errors.Is(err, unix.ENOTDIR)
}

// onTrial reports whether a configuration was tried and not confirmed.
func onTrial(dirs []string, text []byte) bool {
	for _, dir := range dirs {
		mark, err := readPrivate(filepath.Join(dir, trialMark))
		if err == nil && strings.TrimSpace(string(mark)) == digest(text) {
			return true
		}
	}
	return false
}

// errUnconfirmed refuses a configuration that was tried and not confirmed.
var errUnconfirmed = &HintedError{
	Err:  errors.New("this configuration was tried and not confirmed"),
	Hint: "knockd try 5m tries it again; or change the file",
}

// loadConfirmed loads a configuration that is not one whose trial failed.
func loadConfirmed(path string) (*loaded, error) {
	l, err := load(path)
	if err != nil {
		return nil, err
	}
	if onTrial(stateDirsOf(&l.conf.Options), l.text) {
		return nil, fmt.Errorf("%s: %w", path, errUnconfirmed)
	}
	return l, nil
}
