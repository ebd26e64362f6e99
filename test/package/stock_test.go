package packages

import (
	"path/filepath"
	"strings"
	"testing"

	"knockd/internal/netlab/netlabtest"
)

// stockConfig is one that both programs load, unlike the one that the package brings.
const stockConfig = `[options]
	UseSyslog
	Interface = eth0

[openSSH]
	sequence    = 7000,8000,9000
	seq_timeout = 5
	command     = /bin/echo %IP% >>/root/opened
	tcpflags    = syn
`

// overStock makes a machine with Debian's knockd and a changed configuration.
func overStock(t *testing.T, defaults string) *machine {
	t.Helper()
	m := newMachine(t, netlabtest.NewPair(t).Server)
	stock, err := filepath.Glob(filepath.Join(m.dir, "root", "knockd_0.8*.deb"))
	if err != nil || len(stock) != 1 {
		t.Fatalf("Debian's knockd: %q, %v", stock, err)
	}
	m.run("dpkg -i /root/" + filepath.Base(stock[0]))
	m.write("/etc/knockd.conf", 0o640, stockConfig)
	m.write("/etc/default/knockd", 0o644, defaults)
	m.calls()
	return m
}

// replace installs ours over it, as people do by hand (nobody answers a question) and as machines do.
func (m *machine) replace(t *testing.T, frontend string) string {
	t.Helper()
	defaults := m.read("/etc/default/knockd")
	file := m.copyIn(built(t, "*-linux-"+hostArch+".deb"))
	out := m.run(frontend + " apt-get install -y --no-install-recommends " + file + " </dev/null")
	wantNone(t, out, "Configuration file", "What would you like to do")
	if m.read("/etc/knockd.conf") != stockConfig || m.read("/etc/default/knockd") != defaults {
		t.Error("the configuration has been changed")
	}
	want(t, m.run("knockd -V; test -e /usr/lib/systemd/system/knockd.service"), "MIT licence")
	return out
}

// TestOverStockEnabled: what was enabled and running runs again, as ours.
func TestOverStockEnabled(t *testing.T) {
	m := overStock(t, "KNOCKD_OPTS=\"-i eth0\"\n")
	m.run("systemctl enable --now knockd")
	before := m.pid()
	m.replace(t, "")
	if m.pid() == before {
		t.Error("the stock daemon still runs")
	}
	m.run("systemctl is-active knockd && systemctl is-enabled knockd")
	m.run("apt-get purge -y knockd </dev/null")
	m.wantNothingLeft()
}

// TestOverStockStartKnockd: START_KNOCKD=1 is how the stock init script was enabled.
func TestOverStockStartKnockd(t *testing.T) {
	m := overStock(t, "START_KNOCKD=1\nKNOCKD_OPTS=\"-i eth0\"\n")
	m.replace(t, "DEBIAN_FRONTEND=noninteractive")
	m.run("systemctl is-active knockd && systemctl is-enabled knockd")
}

// TestOverStockDisabled: what was not enabled stays so.
func TestOverStockDisabled(t *testing.T) {
	m := overStock(t, "START_KNOCKD=0\n")
	m.replace(t, "DEBIAN_FRONTEND=noninteractive")
	wantNone(t, m.calls(), " start ", "restart", "enable knockd")
	m.fails("pidof knockd")
}

// TestOverStockBroken: the stock daemon runs on where ours would not load its file.
func TestOverStockBroken(t *testing.T) {
	m := overStock(t, "START_KNOCKD=1\n")
	m.run("systemctl enable --now knockd")
	before := m.pid()
	m.run("chmod 666 /etc/knockd.conf")
	out := m.replace(t, "")
	want(t, out, "would not load")
	if m.pid() != before {
		t.Error("the stock daemon was stopped")
	}
}

// TestRPM runs the scripts of the RPM package: installed, upgraded, removed.
func TestRPM(t *testing.T) {
	m := newMachine(t, netlabtest.NewPair(t).Server)
	rpm := "rpm --force-debian --nodeps "
	m.run(rpm + "-i " + m.copyIn(built(t, "*-linux-"+hostArch+".rpm")))
	m.write("/etc/knockd.conf", 0o600, "[options]\n\tInterface = eth0\n[ssh]\n\tsequence = 7000,9000,8000\n\topen = tcp/22\n")
	m.run("systemctl enable --now knockd")
	before := m.pid()
	m.run(rpm + "-U " + m.copyIn(later(t, "*.rpm")))
	if m.pid() == before {
		t.Error("an upgrade left the old daemon running")
	}
	want(t, m.run("knockd -V; rpm -q knockd"), "99.1")
	m.run("nft list table inet knockd && " + rpm + "-e knockd")
	m.fails("nft list table inet knockd")
	m.fails("pidof knockd")
	want(t, strings.TrimSpace(m.run("ls /etc/knockd.conf")), "/etc/knockd.conf")
}

// TestOverStockWithoutSystemd: the stock package's init script, which dpkg leaves in place, starts ours.
func TestOverStockWithoutSystemd(t *testing.T) {
	m := overStock(t, "START_KNOCKD=1\nKNOCKD_OPTS=\"-i eth0\"\n")
	m.write("/sbin/runlevel", 0o755, "#!/bin/sh\necho N 2\n")
	m.run("rmdir /run/systemd/system && ln -s /bin/true /sbin/init && /etc/init.d/knockd start")
	before := m.pid()
	m.replace(t, "")
	if m.pid() == before {
		t.Error("the stock daemon still runs")
	}
	m.run("apt-get remove -y knockd </dev/null")
	m.fails("pidof knockd")
}
