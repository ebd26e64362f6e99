package packages

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

// newSystemd boots a Debian with systemd as its first process, in a network namespace. It is nil where systemd-nspawn
// can't do that: many containers keep control groups from it.
func newSystemd(t *testing.T, n *netlab.Namespace) *machine {
	t.Helper()
	if _, err := exec.LookPath("systemd-nspawn"); err != nil {
		t.Log(err)
		return nil
	}
	m := &machine{t: t, dir: layer(t, lab("root"))}
	var out bytes.Buffer
	nspawn := n.Command(context.Background(), "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", "--directory="+m.dir,
		"--capability=CAP_NET_ADMIN,CAP_NET_RAW,CAP_BPF", "--system-call-filter=bpf", "--", "--unit=multi-user.target")
	nspawn.Stdout, nspawn.Stderr = &out, &out
	netlabtest.Check(t, nspawn.Start())
	done := make(chan struct{})
	go func() { _ = nspawn.Wait(); close(done) }()
	t.Cleanup(func() {
		if m.leader != 0 {
			_ = unix.Kill(m.leader, unix.SIGKILL)
		}
		_ = nspawn.Process.Kill()
		<-done
		removeGroups()
	})
	if !m.booted(nspawn.Process.Pid, done) {
		_ = nspawn.Process.Kill()
		<-done
		t.Logf("systemd does not boot here:\n%s", out.Bytes())
		return nil
	}
	return m
}

// booted waits until systemd answers.
func (m *machine) booted(nspawn int, done <-chan struct{}) bool {
	m.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		select {
		case <-done:
			return false
		default:
		}
		if m.leader = child(nspawn); m.leader == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(m.t.Context(), 10*time.Second)
		out, _ := m.command(ctx, "systemctl is-active multi-user.target ssh.service").Output()
		cancel()
		if string(out) == "active\nactive\n" {
			return true
		}
	}
	return false
}

// child is the first child of a process, 0 if it has none.
func child(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	first, _, _ := strings.Cut(string(text), " ")
	number, _ := strconv.Atoi(first)
	return number
}

// TestSystemd runs the units in a real systemd: readiness, reload, a crash, and the strict unit in its place. Where there
// is none, TestLife and TestNativeUnit stand in, with the same capabilities by setpriv.
func TestSystemd(t *testing.T) {
	p := netlabtest.NewPair(t)
	server := newSystemd(t, p.Server)
	if server == nil {
		return
	}
	client := newMachine(t, p.Client)
	client.unpackKnock()
	client.run("ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519")
	server.write("/root/.ssh/authorized_keys", 0o600, client.read("/root/.ssh/id_ed25519.pub"))
	server.run("chmod 700 /root /root/.ssh")

	server.install(built(t, "*-linux-"+hostArch+".deb"))
	server.write("/etc/knockd.conf", 0o600, sshDoor)
	free := server.freeBackend()
	opens := func(unit string) {
		t.Helper()
		server.run("systemctl is-active " + unit)
		if got := server.backend(); got != free {
			t.Errorf("packets are taken by the %s under %s, without it by the %s", got, unit, free)
		}
		client.fails(sshWithin("2"))
		want(t, client.run("knock -d 20 10.0.0.1 "+sequence+" && "+sshWithin("30")), "welcome")
		server.run("knockd close ssh 10.0.0.2")
	}
	server.run("systemctl enable --now knockd")
	opens("knockd")
	server.run("systemctl reload knockd")
	opens("knockd")
	before := server.pid()
	server.run("kill -9 " + before + "; " + soon("[ \"$(pidof knockd)\" ] && [ \"$(pidof knockd)\" != "+before+" ] && systemctl is-active knockd"))
	opens("knockd")

	t.Run("commands", func(t *testing.T) { startsGame(t, server, client) })
	server.run("systemctl disable --now knockd && systemctl enable --now knockd-native || { journalctl -n 30 --no-pager -u knockd-native; exit 1; }")
	opens("knockd-native")
	want(t, server.run("ps -o user= -C knockd"), "knockd")

	server.run("systemctl disable --now knockd-native && knockd unhide && systemctl start knockd-guard")
	client.fails(sshWithin("2"))
	server.run("systemctl stop knockd-guard; systemctl enable --now knockd")
	opens("knockd")
	server.run("apt-get purge -y knockd </dev/null")
	want(t, client.run(sshWithin("30")), "welcome")
	wantNone(t, server.run("systemctl list-units --all 'knockd*' --no-legend"), "active running", "failed")
}

// backend is how the running daemon takes packets from the kernel.
func (m *machine) backend() string {
	m.t.Helper()
	return regexp.MustCompile(`\w+ backend`).FindString(m.run("knockd status"))
}

// freeBackend is the one of a daemon that no unit restricts.
func (m *machine) freeBackend() string {
	m.t.Helper()
	m.run("knockd -d -p /run/free.pid")
	defer m.run("kill $(cat /run/free.pid); " + soon("! pidof knockd >/dev/null"))
	return m.backend()
}

// startsGame has a door with commands do under the unit what it does under Debian's: change iptables, and start a program
// that outlives the daemon.
func startsGame(t *testing.T, server, client *machine) {
	t.Helper()
	server.write("/etc/knockd.conf", 0o600, `[options]
	Interface = eth0
[game]
	sequence = 7000,9000,8000
	command  = iptables -I INPUT -s %IP% -p tcp --dport 25565 -j ACCEPT; sleep 12345 >/dev/null 2>&1 &
`)
	server.run("knockd unhide && systemctl restart knockd")
	client.run("knock -d 20 10.0.0.1 " + sequence)
	server.run(soon("pgrep -fx 'sleep 12345' && iptables -S INPUT | grep -q 10.0.0.2"))
	server.run("systemctl restart knockd && systemctl stop knockd && pgrep -fx 'sleep 12345'")
	server.write("/etc/knockd.conf", 0o600, sshDoor)
}
