package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// writePidFile replaces a stale pid file; one whose process is a living knockd is an error.
func writePidFile(path string) error {
	if pid, alive := livingPid(path); alive {
		return fmt.Errorf("%s names process %d, which is a running knockd: stop it first, or give another pid file with -p", path, pid)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replacing the stale pid file: %w", err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return fmt.Errorf("writing the pid file: %w", err)
	}
	_, err = fmt.Fprintf(file, "%d\n", os.Getpid())
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing the pid file: %w", err)
	}
	return nil
}

// livingPid reads the pid in the file and tells whether it is a knockd other than ourselves.
func livingPid(path string) (int, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 0 || pid == os.Getpid() {
		return 0, false
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return pid, err == nil && strings.TrimSpace(string(comm)) == "knockd"
}

// removePidFile removes the file if it is still ours.
func removePidFile(path string) {
	text, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(text)) == strconv.Itoa(os.Getpid()) {
		_ = os.Remove(path)
	}
}
