package conffile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/netlab/netlabtest"
)

func TestMain(m *testing.M) { os.Exit(netlabtest.Leaks(m)) }

const text = "[door]\n\tsequence = 3,1,2\n"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write makes a file with exactly this mode, whatever the umask.
func write(t *testing.T, mode fs.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "knockd.conf")
	must(t, os.WriteFile(path, []byte(text), 0o600))
	must(t, os.Chmod(path, mode))
	return path
}

// info is what a descriptor would say of a file, for owners that only root can give a file to.
type info struct {
	fs.FileInfo
	mode     fs.FileMode
	uid, gid uint32
}

func (i info) Mode() fs.FileMode { return i.mode }
func (i info) Size() int64       { return 1 }
func (i info) Sys() any          { return &syscall.Stat_t{Uid: i.uid, Gid: i.gid} }

func TestOpenReads(t *testing.T) {
	for _, mode := range []fs.FileMode{0o400, 0o600, 0o640, 0o644, 0o755} {
		got, err := Open(write(t, mode))
		if err != nil || string(got) != text {
			t.Errorf("mode %o: %q, %v", mode, got, err)
		}
	}
}

func TestOpenFollowsLinks(t *testing.T) {
	// As Kubernetes mounts a ConfigMap: knockd.conf -> ..data/knockd.conf, ..data -> ..2024_01_01.
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "..2024_01_01"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "..2024_01_01", "knockd.conf"), []byte(text), 0o644))
	must(t, os.Symlink("..2024_01_01", filepath.Join(dir, "..data")))
	must(t, os.Symlink("..data/knockd.conf", filepath.Join(dir, "knockd.conf")))
	if got, err := Open(filepath.Join(dir, "knockd.conf")); err != nil || string(got) != text {
		t.Errorf("%q, %v", got, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		path func(t *testing.T) string
		want error
		says string
	}{
		"a file for everybody to write": {func(t *testing.T) string { return write(t, 0o646) }, ErrWritable, "chmod go-w "},
		"a link to a bad file": {func(t *testing.T) string {
			path := write(t, 0o666)
			must(t, os.Symlink(path, path+".link"))
			return path + ".link"
		}, ErrWritable, "chmod go-w "},
		"a directory": {func(t *testing.T) string { return t.TempDir() }, ErrNotRegular, "write the configuration into a file"},
		"a device":    {func(*testing.T) string { return "/dev/null" }, ErrNotRegular, "write the configuration into a file"},
		"a pipe": {func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "pipe")
			must(t, unix.Mkfifo(path, 0o600))
			return path
		}, ErrNotRegular, "write the configuration into a file"},
		"a huge file": {func(t *testing.T) string {
			path := write(t, 0o600)
			must(t, os.Truncate(path, MaxSize+1))
			return path
		}, ErrTooLarge, "at most 16 MiB"},
		"no file": {func(t *testing.T) string { return filepath.Join(t.TempDir(), "none") }, fs.ErrNotExist, "none"},
		"a broken link": {func(t *testing.T) string {
			p := write(t, 0o600) + "2"
			must(t, os.Symlink("/nonexistent", p))
			return p
		}, fs.ErrNotExist, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Open(c.path(t))
			if !errors.Is(err, c.want) || got != nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q, %v; want %v", got, err, c.want)
			}
		})
	}
}

func TestRefusalNamesThePath(t *testing.T) {
	path := write(t, 0o602)
	_, err := Open(path)
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.Path != path || refusal.Hint != "chmod go-w "+path || !strings.HasPrefix(err.Error(), path+": ") {
		t.Errorf("%v", err)
	}
}

// TestCheck: root's files and one's own are trusted, if nobody else may write to them; the group root is root's already.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		info info
		euid int
		want error
		hint string
	}{
		{"root's, run by root", info{mode: 0o644}, 0, nil, ""},
		{"root's, run by a user", info{mode: 0o644}, 1000, nil, ""},
		{"a user's own", info{mode: 0o644, uid: 1000, gid: 1000}, 1000, nil, ""},
		{"a user's, run by root", info{mode: 0o600, uid: 1000}, 0, ErrOwner, "chown root f"},
		{"a user's, run by another", info{mode: 0o644, uid: 1001}, 1000, ErrOwner, "chown root f"},
		{"for the group root to write", info{mode: 0o660}, 0, nil, ""},
		{"for another group to write", info{mode: 0o660, gid: 4}, 0, ErrWritable, "chmod go-w f"},
		{"for a user's group to write", info{mode: 0o660, uid: 1000, gid: 1000}, 1000, ErrWritable, "chmod go-w f"},
		{"for everybody to write", info{mode: 0o646}, 0, ErrWritable, "chmod go-w f"},
		{"a socket", info{mode: fs.ModeSocket | 0o600}, 0, ErrNotRegular, "write the configuration into a file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := check("f", c.info, c.euid)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			var refusal *Refusal
			if errors.As(err, &refusal) && refusal.Hint != c.hint {
				t.Errorf("the hint is %q, want %q", refusal.Hint, c.hint)
			}
		})
	}
}

// TestForeignFiles is the same with real files, which only root can give away.
func TestForeignFiles(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: TestCheck alone covers owners and groups")
		return
	}
	for _, c := range []struct {
		mode     fs.FileMode
		uid, gid int
		want     error
	}{
		{0o660, 0, 0, nil}, {0o660, 0, 12345, ErrWritable}, {0o600, 12345, 0, ErrOwner}, {0o640, 0, 12345, nil},
	} {
		path := write(t, c.mode)
		must(t, os.Chown(path, c.uid, c.gid))
		if _, err := Open(path); !errors.Is(err, c.want) {
			t.Errorf("mode %o, %d:%d: %v, want %v", c.mode, c.uid, c.gid, err, c.want)
		}
	}
}

// TestCheckOnTheDescriptor: a pipe that takes the file's place between look and open must not hold us up either.
func TestCheckOnTheDescriptor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	must(t, unix.Mkfifo(path, 0o600))
	done := make(chan error, 1)
	go func() {
		file, err := open(path)
		if err == nil {
			_ = file.Close()
		}
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, ErrNotRegular) {
			t.Errorf("got %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("opening a pipe without a writer hangs")
	}
}

// TestReadIsBounded: a file may grow after its size was looked at.
func TestReadIsBounded(t *testing.T) {
	if _, err := read("f", bytes.NewReader(make([]byte, MaxSize+1))); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if got, err := read("f", bytes.NewReader(make([]byte, MaxSize))); err != nil || len(got) != MaxSize {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}
