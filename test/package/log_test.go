package packages

import (
	"testing"

	"knockd/internal/netlab/netlabtest"
)

const loggingConfig = `[options]
	LogFile   = /var/log/knockd.log
	Interface = eth0

[door]
	sequence    = 7000,8000,9000
	seq_timeout = 1
	command     = true
`

// TestLog rotates the log of a running daemon, and lets fail2ban find in it who never finishes a knock.
func TestLog(t *testing.T) {
	p := netlabtest.NewPair(t)
	server, client := newMachine(t, p.Server), newMachine(t, p.Client)
	client.unpackKnock()
	server.install(built(t, "*-linux-"+hostArch+".deb"))
	server.write("/etc/knockd.conf", 0o600, loggingConfig)
	server.run("systemctl enable --now knockd")
	client.run("knock -d 20 10.0.0.1 7000 8000 9000; knock -d 20 10.0.0.1 7000 8000")
	server.run(soon("grep -q 'sequence timeout' /var/log/knockd.log"))
	server.run("cp /usr/share/doc/knockd/examples/fail2ban.conf /etc/fail2ban/filter.d/knockd.conf")
	want(t, server.run("fail2ban-regex /var/log/knockd.log /etc/fail2ban/filter.d/knockd.conf"), "1 matched")

	server.run("logrotate -f /etc/logrotate.d/knockd")
	server.run(soon("grep -q 're-reading config file' /var/log/knockd.log*"))
	client.run("knock -d 20 10.0.0.1 7000 8000 9000")
	server.run(soon("grep -q 'door: OPEN SESAME' /var/log/knockd.log"))
	want(t, server.read("/var/log/knockd.log.1"), "10.0.0.2: door: sequence timeout (stage 2)")
	want(t, server.run("stat -c %a:%U /var/log/knockd.log"), "640:root")
}

// soon waits until a shell line succeeds, at most half a minute.
func soon(line string) string {
	return "for i in $(seq 300); do " + line + " && exit 0; sleep 0.1; done; exit 1"
}
