package packages

import (
	"regexp"
	"testing"

	"knockd/internal/netlab/netlabtest"
)

const nativeConfig = `[options]
	Interface = eth0
	LogFile   = /var/log/knockd/knockd.log

[ssh]
	sequence = 7000,9000,8000
	open     = tcp/22
`

// TestNativeUnit runs the strict unit's user and capabilities: a door opens, and the daemon can do nothing else.
func TestNativeUnit(t *testing.T) {
	p := netlabtest.NewPair(t)
	server, client := newMachine(t, p.Server), newMachine(t, p.Client)
	client.unpackKnock()
	serveSSH(server, client)
	server.install(built(t, "*-linux-"+hostArch+".deb"))
	server.write("/etc/knockd.conf", 0o600, nativeConfig)
	server.run("systemctl enable --now knockd-native")
	client.fails(sshWithin("2"))
	want(t, client.run("knock -d 20 10.0.0.1 7000 9000 8000 && "+sshWithin("30")), "welcome")
	want(t, server.run("knockd status"), "10.0.0.2")
	status := server.run("cat /proc/" + server.pid() + "/status")
	// CAP_NET_ADMIN 12, CAP_NET_RAW 13, CAP_BPF 39 (capability.h).
	for _, line := range []string{`CapBnd:\s+0000008000003000\n`, `CapEff:\s+0000008000003000\n`, `NoNewPrivs:\s+1\n`} {
		if !regexp.MustCompile(line).MatchString(status) {
			t.Errorf("no %s in:\n%s", line, status)
		}
	}
	want(t, server.run("ps -o user= -C knockd"), "knockd")
	before := server.pid()
	server.install(later(t, "*.deb"))
	if server.pid() == before {
		t.Error("an upgrade left the old daemon running")
	}
	server.run("logrotate -f /etc/logrotate.d/knockd")
	server.run(soon("grep -q 're-reading config file' /var/log/knockd/knockd.log*"))
	server.run("apt-get purge -y knockd </dev/null")
	server.wantNothingLeft()
	want(t, client.run(sshWithin("30")), "welcome")
}
