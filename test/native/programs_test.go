package native

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"knockd/internal/daemontest"
	"knockd/internal/netlab/netlabtest"
)

// TestBesideUfw and TestBesideFirewalld run the real programs where they are installed. (Rules of their shape are tested
// everywhere, by package doors.)
func TestBesideUfw(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "/etc/ufw", "/etc/default/ufw", "ufw")
	if m == nil {
		return
	}
	m.run("ufw", "allow", "22/tcp")
	m.run("ufw", "--force", "enable")
	m.hides(
		func() { m.run("ufw", "reload") },
		func() { m.run("ufw", "allow", "80/tcp") },
		func() { m.run("ufw", "--force", "disable") },
	)
}

func TestBesideFirewalld(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "/etc/firewalld", "", "firewalld", "firewall-cmd", "dbus-daemon")
	if m == nil {
		return
	}
	m.program("dbus-daemon", "--system", "--nofork", "--nopidfile", "--nosyslog")
	daemontest.Eventually(t, "the bus is there", func() bool {
		return strings.Contains(m.run("sh", "-c", "ls /run/dbus"), "system_bus_socket")
	})
	m.program("firewalld", "--nofork", "--nopid")
	daemontest.Eventually(t, "firewalld is there", func() bool {
		return strings.Contains(m.run("sh", "-c", "firewall-cmd --state 2>&1 || :"), "running\n") &&
			!strings.Contains(m.run("sh", "-c", "firewall-cmd --state 2>&1 || :"), "not running")
	})
	m.run("firewall-cmd", "--permanent", "--add-port=22/tcp")
	m.run("firewall-cmd", "--reload")
	m.hides(
		func() { m.run("firewall-cmd", "--reload") },
		func() { m.run("firewall-cmd", "--complete-reload") },
		func() { m.run("firewall-cmd", "--add-port=80/tcp") },
	)
}

// machine is a site whose firewall programs have files of their own.
type machine struct {
	*site
	// holder is the process whose mounts they see.
	holder *daemontest.Daemon
}

// newMachine gives a directory and a file of the system's, copied, to programs. It is nil where they are not installed, or
// not for us.
func newMachine(t *testing.T, dir, file string, programs ...string) *machine {
	t.Helper()
	if testing.Short() {
		t.Skip("slow")
	}
	for _, program := range append(programs, "nsenter", "unshare") {
		if _, err := exec.LookPath(program); err != nil {
			t.Logf("not tested: %v", err)
			return nil
		}
	}
	s := newSite(t)
	script := fmt.Sprintf("mkdir %[1]s/etc && cp -a %[2]s/. %[1]s/etc && mount --bind %[1]s/etc %[2]s && ", s.dir, dir)
	if file != "" {
		script += fmt.Sprintf("cp %[2]s %[1]s/file && mount --bind %[1]s/file %[2]s && ", s.dir, file)
	}
	script += "mount -t tmpfs run /run && mkdir /run/dbus && mount -t tmpfs log /var/log && echo ready && exec sleep 600 || echo denied"
	m := &machine{site: s}
	m.holder = daemontest.Start(t, s.Server, daemontest.Options{Program: "unshare", Command: []string{"-m", "sh", "-c", script}})
	daemontest.Eventually(t, "files of its own", func() bool { return m.holder.Count("ready\n")+m.holder.Count("denied\n") > 0 })
	if m.holder.Count("ready\n") == 0 {
		t.Logf("not tested: %s", m.holder.Output())
		return nil
	}
	return m
}

func (m *machine) inside(args ...string) []string {
	return append([]string{"-t", fmt.Sprint(m.holder.Pid()), "-m", "--"}, args...)
}

// run runs one of the programs.
func (m *machine) run(args ...string) string {
	m.t.Helper()
	return netlabtest.Run(m.t, m.Server, "nsenter", m.inside(args...)...)
}

// program starts one that goes on.
func (m *machine) program(args ...string) {
	m.t.Helper()
	daemontest.Start(m.t, m.Server, daemontest.Options{Program: "nsenter", Command: m.inside(args...)})
}

// hides holds the door to its promises beside the program, and beside what it does.
func (m *machine) hides(acts ...func()) {
	m.t.Helper()
	m.eventually(22, true)
	m.want(23, false)
	d := m.start(ssh)
	if out := m.verb("check"); !strings.Contains(out, "good, 1 door, native") {
		m.t.Errorf("check: %s", out)
	}
	x := m.stranger()
	m.want(22, false)
	m.granted(d)
	m.want(22, true)
	for _, act := range acts {
		act()
		m.want(22, true)
	}
	time.Sleep(100 * time.Millisecond)
	x.sawNothing()
	if n := d.Count("was changed or removed"); n != 0 {
		m.t.Errorf("our table was changed %d times", n)
	}
	m.verb("close", "ssh", "10.0.0.2")
	m.want(22, false)
}
