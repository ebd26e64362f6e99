package packages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

// machine is a Debian with a network, a process table and a disk of its own; it ends with the test, and so does all that
// runs in it.
type machine struct {
	t *testing.T
	// pid is the number of its first process, out here.
	leader int
	// dir is its root, as seen from the test.
	dir string
}

// newMachine starts a machine in a network namespace.
func newMachine(t *testing.T, n *netlab.Namespace) *machine {
	t.Helper()
	m := &machine{t: t, dir: layer(t, lab("root"))}
	m.boot(n)
	m.write("/usr/bin/systemctl", 0o755, string(testdata(t, "systemctl")))
	return m
}

// layer lays an empty directory over a root.
func layer(t *testing.T, below string) string {
	t.Helper()
	below, err := filepath.EvalSymlinks(below)
	netlabtest.Check(t, err)
	base := t.TempDir()
	mount(t, "tmpfs", base, "tmpfs", "mode=755")
	for _, name := range []string{"upper", "work", "root"} {
		netlabtest.Check(t, os.Mkdir(filepath.Join(base, name), 0o755))
	}
	root := filepath.Join(base, "root")
	mount(t, "overlay", root, "overlay", fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", below, base, base))
	return root
}

func mount(t *testing.T, source, target, kind, data string) {
	t.Helper()
	if err := unix.Mount(source, target, kind, 0, data); err != nil {
		netlabtest.Check(t, &netlab.Unsupported{What: "mounting " + kind, Err: err})
	}
	t.Cleanup(func() { netlabtest.Check(t, unix.Unmount(target, unix.MNT_DETACH)) })
}

// pidOne is the machine's first process. It reaps whoever is left behind, and ends when the test lets go of its input:
// then the kernel ends all others.
const pidOne = `
mount -t proc proc /proc && mount -t tmpfs -o mode=755 tmpfs /run && mount -t tmpfs tmpfs /tmp && mkdir -p /run/systemd/system /run/sshd
exec 3<&0
echo up
cat <&3 >/dev/null & wait $!
`

func (m *machine) boot(n *netlab.Namespace) {
	m.t.Helper()
	init := n.Command(context.Background(), "/bin/sh", "-c", pidOne)
	init.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	init.Dir = "/"
	init.SysProcAttr = &syscall.SysProcAttr{Chroot: m.dir, Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS}
	stdin, err := init.StdinPipe()
	netlabtest.Check(m.t, err)
	stdout, err := init.StdoutPipe()
	netlabtest.Check(m.t, err)
	netlabtest.Check(m.t, init.Start())
	m.leader = init.Process.Pid
	m.t.Cleanup(func() {
		_ = stdin.Close()
		_ = init.Wait()
	})
	up := make([]byte, len("up\n"))
	if _, err := io.ReadFull(stdout, up); err != nil {
		m.t.Fatalf("starting a machine: %v", err)
	}
}

// command is a shell line in the machine.
func (m *machine) command(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter", "-t", strconv.Itoa(m.leader), "-m", "-n", "-p", "-r", "-w", "/bin/sh", "-c", line)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "TERM=dumb"}
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// try runs a shell line and returns its output and exit status.
func (m *machine) try(line string) (string, int) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 90*time.Second)
	defer cancel()
	cmd := m.command(ctx, line)
	// What a line leaves running must not hold its output open.
	file, err := os.CreateTemp(m.t.TempDir(), "output")
	netlabtest.Check(m.t, err)
	defer func() { _ = file.Close() }()
	cmd.Stdout, cmd.Stderr = file, file
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		m.t.Fatalf("%s: %v", line, err)
	}
	out, err := os.ReadFile(file.Name())
	netlabtest.Check(m.t, err)
	return string(out), cmd.ProcessState.ExitCode()
}

// run runs a shell line that must succeed.
func (m *machine) run(line string) string {
	m.t.Helper()
	out, code := m.try(line)
	if code != 0 {
		m.t.Fatalf("%s: exit status %d\n%s", line, code, out)
	}
	return out
}

// fails runs a shell line that must not succeed.
func (m *machine) fails(line string) string {
	m.t.Helper()
	out, code := m.try(line)
	if code == 0 {
		m.t.Fatalf("%s: succeeded\n%s", line, out)
	}
	return out
}

func (m *machine) write(path string, mode os.FileMode, text string) {
	m.t.Helper()
	full := filepath.Join(m.dir, path)
	netlabtest.Check(m.t, os.MkdirAll(filepath.Dir(full), 0o755))
	netlabtest.Check(m.t, os.WriteFile(full, []byte(text), mode))
	netlabtest.Check(m.t, os.Chmod(full, mode))
}

func (m *machine) read(path string) string {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.dir, path))
	netlabtest.Check(m.t, err)
	return string(text)
}

// copyIn puts a file of this machine into the other one's /root.
func (m *machine) copyIn(path string) string {
	m.t.Helper()
	text, err := os.ReadFile(path)
	netlabtest.Check(m.t, err)
	to := "/root/" + filepath.Base(path)
	m.write(to, 0o644, string(text))
	return to
}

func testdata(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	netlabtest.Check(t, err)
	return text
}

// want fails the test unless the text has each piece.
func want(t *testing.T, text string, pieces ...string) {
	t.Helper()
	for _, piece := range pieces {
		if !strings.Contains(text, piece) {
			t.Errorf("no %q in:\n%s", piece, text)
		}
	}
}

// wantNone fails the test if the text has one of the pieces.
func wantNone(t *testing.T, text string, pieces ...string) {
	t.Helper()
	for _, piece := range pieces {
		if strings.Contains(text, piece) {
			t.Errorf("%q in:\n%s", piece, text)
		}
	}
}
