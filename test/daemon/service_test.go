package daemon

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"knockd/internal/daemontest"
	"knockd/internal/netlab/netlabtest"
)

// manager is the socket of a service manager (sd_notify(3)).
type manager struct {
	t    *testing.T
	conn *net.UnixConn
	path string
}

func newManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	netlabtest.Check(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return &manager{t, conn, path}
}

// next returns the next message but of the watchdog, unless that is asked for.
func (m *manager) next(want string) string {
	m.t.Helper()
	netlabtest.Check(m.t, m.conn.SetReadDeadline(time.Now().Add(daemontest.Patience)))
	buf := make([]byte, 4096)
	for {
		n, err := m.conn.Read(buf)
		if err != nil {
			m.t.Fatalf("waiting for %s: %v", want, err)
		}
		if text := string(buf[:n]); strings.HasPrefix(text, want) {
			return text
		}
	}
}

func TestServiceManager(t *testing.T) {
	t.Parallel()
	p := netlabtest.NewPair(t)
	m := newManager(t)
	const text = "[one]\n\tsequence = 1000,3000\n\tcommand = true\n"
	d := daemontest.Start(t, p.Server, daemontest.Options{
		Config: text, Args: []string{"-v", "-i", "eth0"},
		Env: []string{"NOTIFY_SOCKET=" + m.path, "WATCHDOG_USEC=200000"},
	})
	if got := m.next("READY=1"); !strings.Contains(got, "STATUS=listening on eth0") {
		t.Errorf("%q", got)
	}
	m.next("WATCHDOG=1")
	m.next("WATCHDOG=1")
	d.Signal(syscall.SIGHUP)
	if got := m.next("RELOADING=1"); !strings.Contains(got, "MONOTONIC_USEC=") {
		t.Errorf("%q", got)
	}
	m.next("READY=1")
	d.Signal(syscall.SIGTERM)
	m.next("STOPPING=1")
	if status := d.Exit(); status != 0 {
		t.Errorf("status %d", status)
	}
}

func TestSyslog(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root for a /dev of its own")
	}
	p := netlabtest.NewPair(t)
	dir := t.TempDir()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "log"), Net: "unixgram"})
	netlabtest.Check(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	conf := filepath.Join(t.TempDir(), "knockd.conf")
	text := "[options]\n\tUseSyslog\n\tControl = none\n\tState = none\n[one]\n\tsequence = 1000,3000\n\tcommand = true\n"
	netlabtest.Check(t, os.WriteFile(conf, []byte(text), 0o600))
	script := "touch " + dir + "/null && mount --bind /dev/null " + dir + "/null && mount --rbind " + dir + " /dev && exec knockd -i eth0 -c " + conf
	daemontest.Start(t, p.Server, daemontest.Options{Program: "unshare", Command: []string{"-m", "sh", "-c", script}})
	netlabtest.Check(t, conn.SetReadDeadline(time.Now().Add(daemontest.Patience)))
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		netlabtest.Check(t, err)
		// Priority user.notice; the identity of the reference, without a process number.
		line := string(buf[:n])
		if !strings.HasPrefix(line, "<13>") || !strings.Contains(line, " knockd: ") {
			t.Errorf("%q", line)
		}
		if strings.HasSuffix(line, " knockd: starting up, listening on eth0") {
			return
		}
	}
}
