package doors

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"knockd/internal/daemontest"
	"knockd/internal/netlab/netlabtest"
)

const nothing = "[other]\n\tsequence = 1,3,2\n\tcommand = true\n"

func TestTryTakesBack(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.start(nothing)
	d.Rewrite(ssh)
	if out := l.knockd("try", "20s"); !strings.Contains(out, "on trial for 20s") {
		t.Errorf("%s", out)
	}
	l.open(false)
	if out := l.refused("reload"); !strings.Contains(out, "on trial") {
		t.Errorf("%s", out)
	}
	if out := l.refused("confirm"); !strings.Contains(out, "did not come through a door") {
		t.Errorf("%s", out)
	}
	d.Wait("the rules on trial are taken back: not confirmed in time")
	l.eventually(true)
	// The same file is not taken again by the way: not by a reload, not by a restart.
	if out := l.refused("reload"); !strings.Contains(out, "tried and not confirmed") {
		t.Errorf("%s", out)
	}
	d.Stop()
	again := daemontest.Start(t, l.Server, daemontest.Options{Program: "knockd", Command: []string{"-v", "-c", l.conf()}})
	if status := again.Exit(); status != 1 || !strings.Contains(again.Output(), "tried and not confirmed") {
		t.Errorf("status %d", status)
	}
	if !strings.Contains(again.Output(), "hint: knockd try 5m tries it again") {
		t.Errorf("nothing says what to do: %s", again.Output())
	}
	// A change makes it another file.
	l.start(ssh + "\tMax_Open = 7\n")
	l.open(false)
}

func TestTryOfADaemonThatDies(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.start(nothing)
	d.Rewrite(ssh)
	l.knockd("try", "10s")
	l.open(false)
	d.Kill()
	l.eventually(true) // the kernel's lease ends
}

func TestTryWithoutADaemon(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	pid := filepath.Join(l.dir, "pid")
	text := daemontest.Isolate("[options]\n\tInterface = eth0\n\tPidFile = "+pid+"\n"+ssh, l.dir)
	netlabtest.Check(t, os.WriteFile(l.conf(), []byte(text), 0o600))
	if out := l.knockd("try", "10s"); !strings.Contains(out, "knockd runs, on trial for 10s") {
		t.Errorf("%s", out)
	}
	n, err := strconv.Atoi(strings.TrimSpace(daemontest.Read(t, pid)))
	netlabtest.Check(t, err)
	t.Cleanup(func() { _ = syscall.Kill(n, syscall.SIGKILL) })
	l.open(false)
	daemontest.Eventually(t, "the daemon ends", func() bool { return syscall.Kill(n, 0) != nil })
	l.open(true)
}

// sshd runs a real one in the server's namespace, and returns a command that logs in and runs its arguments there.
func (l *lab) sshd() func(args string) (string, error) {
	l.t.Helper()
	for _, name := range []string{"host", "user"} {
		netlabtest.Run(l.t, l.Server, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(l.dir, name))
	}
	netlabtest.Run(l.t, l.Server, "mkdir", "-p", "/run/sshd")
	conf := filepath.Join(l.dir, "sshd_config")
	netlabtest.Check(l.t, os.WriteFile(conf, []byte("Port 2022\nHostKey "+l.dir+"/host\nAuthorizedKeysFile "+l.dir+"/user.pub\nStrictModes no\nUsePAM no\n"+
		"PermitRootLogin yes\nPasswordAuthentication no\nPidFile none\n"), 0o600))
	daemontest.Start(l.t, l.Server, daemontest.Options{Program: "/usr/sbin/sshd", Command: []string{"-D", "-e", "-f", conf}}).Wait("Server listening on 0.0.0.0")
	return func(args string) (string, error) {
		ctx, cancel := context.WithTimeout(l.t.Context(), daemontest.Patience)
		defer cancel()
		out, err := l.Client.Command(ctx, "ssh", "-p", "2022", "-i", filepath.Join(l.dir, "user"), "-o", "StrictHostKeyChecking=no",
			"-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=5", "-o", "LogLevel=ERROR", "root@10.0.0.1", args).CombinedOutput()
		return string(out), err
	}
}

// TestConfirm confirms from a real session through the door; one from before the trial, or from no door, does not do.
func TestConfirm(t *testing.T) {
	t.Parallel()
	if daemontest.InUserNamespace() {
		t.Skip("sshd sets groups, which a user namespace does not let it")
	}
	l := newLab(t)
	login := l.sshd()
	d := l.start(nothing)
	knockd := netlabtest.Run(t, l.Server, "sh", "-c", "command -v knockd")
	confirm := "PATH=" + filepath.Dir(strings.TrimSpace(knockd)) + ":$PATH env " + environment() + " knockd confirm -c " + l.conf()
	// A session that waits for its moment.
	before := make(chan string, 1)
	go func() {
		out, _ := login("while [ ! -e " + l.dir + "/go ]; do sleep 0.05; done; " + confirm)
		before <- out
	}()
	daemontest.Eventually(t, "the session from before", func() bool {
		return strings.Contains(netlabtest.Run(t, l.Server, "sh", "-c", "ss -Htn state established sport = :2022 || true"), ":2022")
	})
	time.Sleep(50 * time.Millisecond) // it is older than the trial by more than a clock tick
	d.Rewrite(strings.Replace(ssh, "tcp/22", "tcp/2022", 1))
	l.knockd("try", "60s")
	if out, err := login("true"); err == nil {
		t.Fatalf("the port is not hidden: %s", out)
	}
	l.knock()
	d.Wait("tcp/2022 open")
	netlabtest.Check(t, os.WriteFile(filepath.Join(l.dir, "go"), nil, 0o600))
	if out := <-before; !strings.Contains(out, "this session is older than the trial") {
		t.Errorf("the session from before: %s", out)
	}
	out, err := login(confirm)
	if err != nil || !strings.Contains(out, "confirmed: the rules stay") {
		t.Fatalf("%v: %s", err, out)
	}
	if out := l.knockd("status"); strings.Contains(out, "trial") {
		t.Errorf("%s", out)
	}
	l.knockd("reload")
}

// environment hands on what makes the test's own program a command (see package testscript).
func environment() string {
	var list []string
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "NETLAB") || strings.HasPrefix(v, "TESTSCRIPT") {
			list = append(list, "'"+v+"'")
		}
	}
	return strings.Join(list, " ")
}
