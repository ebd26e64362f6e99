package packages

import (
	"testing"

	"knockd/internal/netlab/netlabtest"
)

// openRC is what the script needs of openrc-run(8): it reads the script and calls one of its functions.
const openRC = `#!/bin/busybox ash
set -e
ebegin() { echo "$*"; }
eend() { return "$1"; }
checkpath() { mkdir -p "$4"; }
. "$1"
case $2 in
start) start_pre && $command $command_args ;;
stop) kill "$(cat "$pidfile")" ;;
*) "$2" ;;
esac
`

// TestOpenRC runs the functions of the OpenRC script by BusyBox's ash, as Alpine would.
func TestOpenRC(t *testing.T) {
	p := netlabtest.NewPair(t)
	server, client := newMachine(t, p.Server), newMachine(t, p.Client)
	client.unpackKnock()
	server.install(built(t, "*-linux-"+hostArch+".deb"))
	server.write("/etc/knockd.conf", 0o600, plainDoor)
	server.write("/usr/local/bin/openrc", 0o755, openRC)
	const openrc = "openrc /usr/share/doc/knockd/examples/openrc "
	server.run(openrc + "checkconfig && " + openrc + "start && test -s /run/knockd.pid && " + openrc + "reload")
	client.run("knock -d 20 10.0.0.1 " + sequence)
	server.run(soon("grep -q 10.0.0.2 /root/opened"))
	server.run(openrc + "stop; " + soon("! pidof knockd >/dev/null"))
}
