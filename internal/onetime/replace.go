package onetime

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"knockd/internal/durable"
)

// replace puts a copy with the same owner and mode in the file's place, on disk when it returns.
func (m marking) replace(text []byte) error {
	dir, name := filepath.Split(m.f.path)
	copied := filepath.Join(dir, "."+name+".marked")
	if err := os.Remove(copied); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a daemon that died on its way
		return err
	}
	if err := m.write(copied, text); err != nil {
		_ = os.Remove(copied)
		return err
	}
	m.f.step("before a marked copy takes the place")
	if m.edited() {
		_ = os.Remove(copied)
		return errEdited
	}
	if err := os.Rename(copied, m.f.path); err != nil {
		_ = os.Remove(copied)
		return err
	}
	m.f.step("before the copy's name is on disk")
	return durable.SyncDir(filepath.Dir(m.f.path))
}

func (m marking) write(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, like(file, m.info), file.Sync(), file.Close())
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
