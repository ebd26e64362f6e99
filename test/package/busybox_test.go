package packages

import (
	"path/filepath"
	"testing"

	"knockd/internal/netlab/netlabtest"
)

// newBusyBox makes a machine whose userland is BusyBox alone, as in Alpine and OpenWrt.
func newBusyBox(t *testing.T) (m *machine, client *machine) {
	t.Helper()
	p := netlabtest.NewPair(t)
	client = newMachine(t, p.Client)
	client.unpackKnock()
	m = &machine{t: t, dir: layer(t, t.TempDir())}
	root, err := filepath.EvalSymlinks(lab("root"))
	netlabtest.Check(t, err)
	netlabtest.Check(t, run(m.dir, nil, "sh", "-ec", `
		mkdir -p bin sbin usr/bin usr/sbin usr/lib dev etc proc run tmp root var/lib var/run var/log
		cp -a "`+root+`/usr/bin/busybox" bin/
		chroot . /bin/busybox --install -s
		cp -a /dev/null /dev/urandom dev/`))
	m.boot(p.Server)
	netlabtest.Check(t, run(m.dir, nil, "tar", "-xzf", built(t, "knockd-*-linux-"+hostArch+".tar.gz"), "--strip-components=1", "-C", "usr/sbin"))
	return m, client
}

// TestBusyBox runs the same programs, and a door's commands under BusyBox's ash.
func TestBusyBox(t *testing.T) {
	m, client := newBusyBox(t)
	m.write("/etc/knockd.conf", 0o600, `[options]
	Interface = eth0
	LogFile   = /var/log/knockd.log

[door]
	sequence      = 7000,9000,8000
	start_command = [ -n "$KNOCKD_DOOR" ] && echo "%IP% came" >>/tmp/visits
	cmd_timeout   = 1
	stop_command  = echo "%IP% went" >>/tmp/visits

[native]
	sequence = 7100,9100,8100
	open     = tcp/22
`)
	m.run("knockd check && knockd -d")
	client.run("knock -d 20 10.0.0.1 7000 9000 8000")
	m.run(soon("grep -q '10.0.0.2 went' /tmp/visits"))
	want(t, m.run("cat /tmp/visits"), "10.0.0.2 came\n10.0.0.2 went\n")
	client.run("knock -d 20 10.0.0.1 7100 9100 8100")
	m.run(soon("knockd status | grep -q 10.0.0.2"))
	m.run("knock -v 127.0.0.1 7000 && kill $(cat /var/run/knockd.pid)")
	m.run(soon("! pidof knockd >/dev/null && [ ! -e /var/run/knockd.pid ]"))
	m.run("knockd unhide")
}
