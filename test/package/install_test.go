package packages

import (
	"regexp"
	"strings"
	"testing"

	"knockd/internal/netlab/netlabtest"
)

// sshLine greets through ssh, or fails within seconds.
const sshLine = "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR " +
	"-o ConnectTimeout=%d root@10.0.0.1 echo welcome"

func sshWithin(seconds string) string { return strings.Replace(sshLine, "%d", seconds, 1) }

// serveSSH starts sshd on the server and gives the client a key.
func serveSSH(server, client *machine) {
	server.t.Helper()
	client.run("ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519")
	server.write("/root/.ssh/authorized_keys", 0o600, client.read("/root/.ssh/id_ed25519.pub"))
	server.run("chmod 700 /root /root/.ssh; /usr/sbin/sshd -o UsePAM=no -o UseDNS=no")
	// sshd lets go of its terminal before it listens.
	want(client.t, client.run(soon(sshWithin("30")+" 2>/dev/null")), "welcome")
}

// unpackKnock puts the client of the tarball into the machine's path.
func (m *machine) unpackKnock() {
	m.t.Helper()
	m.run("tar -C /opt -xzf " + m.copyIn(built(m.t, "knockd-*-linux-"+hostArch+".tar.gz")) + " && cp /opt/knockd-*/knock /usr/local/bin/")
}

var knockLine = regexp.MustCompile(`(?m)^ *(knock -d 100 10\.0\.0\.1( \d+){4})$`)

// TestLife is what the README promises, in a fresh Debian: install, init, start under the unit's restrictions, knock
// from another machine, ssh in, restart, upgrade, remove, purge.
func TestLife(t *testing.T) {
	p := netlabtest.NewPair(t)
	server, client := newMachine(t, p.Server), newMachine(t, p.Client)
	client.unpackKnock()
	serveSSH(server, client)

	server.install(built(t, "*-linux-"+hostArch+".deb"))
	wantNone(t, server.calls(), " start ", "restart")
	found := knockLine.FindStringSubmatch(server.run("knockd init"))
	if found == nil {
		t.Fatal("knockd init names no knock")
	}
	knock := found[1]
	server.run("knockd check; systemctl enable --now knockd")
	client.fails(sshWithin("2"))
	want(t, client.run(knock+" && "+sshWithin("30")), "welcome")
	want(t, server.run("knockd status"), "10.0.0.2")

	server.run("systemctl restart knockd")
	want(t, client.run(knock+" && "+sshWithin("30")), "welcome")

	before := server.pid()
	server.calls()
	server.install(later(t, "*.deb"))
	want(t, server.calls(), "restart knockd.service")
	if server.pid() == before {
		t.Error("an upgrade left the old daemon running")
	}
	want(t, server.run("knockd -V"), "99.1")
	want(t, client.run(knock+" && "+sshWithin("30")), "welcome")

	refusesBrokenUpgrade(t, server)

	server.run("apt-get remove -y knockd </dev/null")
	server.fails("nft list table inet knockd")
	want(t, client.run(sshWithin("30")), "welcome")
	server.run("test -e /etc/knockd.conf && apt-get purge -y knockd </dev/null")
	server.wantNothingLeft()
}

// refusesBrokenUpgrade upgrades over a configuration that would not load: it says so, and the daemon runs on.
func refusesBrokenUpgrade(t *testing.T, server *machine) {
	t.Helper()
	before, conf := server.pid(), server.read("/etc/knockd.conf")
	server.write("/etc/knockd.conf", 0o600, conf+"\nUnsinn = 1\n")
	server.calls()
	out := server.install(later(t, "*.deb"))
	want(t, out, "would not load", "Unsinn", "/etc/knockd.conf:")
	wantNone(t, server.calls(), "restart", "stop")
	if server.pid() != before {
		t.Error("the daemon was replaced over a broken configuration")
	}
	server.write("/etc/knockd.conf", 0o600, conf)
}

// pid is the running daemon's process number.
func (m *machine) pid() string {
	m.t.Helper()
	return strings.TrimSpace(m.run("pidof knockd"))
}

// wantNothingLeft finds what a purge forgot.
func (m *machine) wantNothingLeft() {
	m.t.Helper()
	left := m.run(`find / -xdev \( -path /proc -o -path /root -o -path /tmp -o -path /opt -o -path /usr/share/zsh -o -path /run/stand-in -o -path /var/lib/apt -o -path /var/cache/apt \) -prune -o -name '*knock*' -print`)
	if left = strings.TrimSpace(left); left != "" {
		m.t.Errorf("left behind:\n%s", left)
	}
	out, _ := m.try("getent passwd knockd; getent group knockd; pidof knockd")
	if out != "" {
		m.t.Errorf("left behind: %s", out)
	}
}
