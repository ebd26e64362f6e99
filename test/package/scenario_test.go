package packages

import "strings"

// scenario is how a command of the documents is run.
type scenario struct {
	// covered says where the command is run instead: what would run this test again can't run in it.
	covered string
	// client: on the machine that knocks; source: in a copy of the sources. Else on the server.
	client, source bool
	// throughSSH: on the server, in a session that came through the door.
	throughSSH bool
	// before makes what the reader has by then.
	before func(w *world)
	// run is typed instead, where the command holds what only the reader knows. Empty: the command.
	run string
	// fails: it must not succeed, as the text says.
	fails bool
	// says is what the output must have, after what must be so.
	says  string
	after func(w *world)
}

// sequence is the one that the guides write.
const sequence = "7000 9000 8000"

// runs starts the daemon with a configuration.
func runs(conf string) func(w *world) {
	return func(w *world) {
		w.server.write("/etc/knockd.conf", 0o600, conf)
		w.server.stop()
		w.server.run("systemctl start knockd")
	}
}

// holds writes a configuration, with no daemon.
func holds(conf string) func(w *world) {
	return func(w *world) {
		w.server.stop()
		w.server.write("/etc/knockd.conf", 0o600, conf)
	}
}

// none takes daemon and configuration away.
func none(w *world) {
	w.server.stop()
	w.server.run("rm -f /etc/knockd.conf")
}

// stop ends the daemon, also one that knockd try has started, and shows what was hidden.
func (m *machine) stop() {
	m.t.Helper()
	m.run("systemctl stop knockd; for p in $(pidof knockd); do kill $p; done; " + soon("! pidof knockd >/dev/null"))
	m.run("knockd unhide")
}

const (
	plainDoor = `[options]
	Interface = eth0
	LogFile   = /var/log/knockd.log
[door]
	sequence = 7000,9000,8000
	command  = echo %IP% >>/root/opened
`
	sshDoor = `[options]
	Interface = eth0
[ssh]
	sequence = 7000,9000,8000
	open     = tcp/22
	open_for = 10m
`
	longDoor = `[options]
	Interface = eth0
[ssh]
	sequence = 7000,9000,8000,4000
	open     = tcp/22
`
	iptablesDoors = `[options]
	UseSyslog
	Interface = eth0

[SSH]
	sequence      = 7000,9000,8000
	seq_timeout   = 15
	tcpflags      = syn
	start_command = /usr/sbin/iptables -I INPUT -s %IP% -p tcp --dport 22 -j ACCEPT
	cmd_timeout   = 30
	stop_command  = /usr/sbin/iptables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT
`
)

func rehearsing(w *world) {
	runs(strings.Replace(sshDoor, "open ", "hide = rehearse\n\topen ", 1))(w)
}

// knocked is a client that has been let in.
func knocked(w *world) {
	runs(sshDoor)(w)
	w.client.run("knock -d 20 10.0.0.1 " + sequence + " && " + sshWithin("30"))
}

// onTrial hides ssh for a while, and the client has knocked.
func onTrial(w *world) {
	w.server.stop()
	w.server.write("/etc/knockd.conf", 0o600, sshDoor)
	w.server.run("knockd try 5m")
	w.client.run("knock -d 20 10.0.0.1 " + sequence)
}

func shown(w *world) { w.server.fails("nft list table inet knockd") }

func hidden(w *world) { w.server.run("nft list table inet knockd") }

// scenarios has every command of README.md, the guides, SECURITY.md and CONTRIBUTING.md, as it is written there.
var scenarios = map[string]scenario{
	"make test":    {covered: ".ci/run"},
	"make race":    {covered: ".ci/run"},
	"make fuzz":    {covered: ".ci/run"},
	"make lint":    {covered: ".ci/run"},
	"make bench":   {covered: "Makefile"},
	"make soak":    {covered: "Makefile"},
	"make package": {covered: "Makefile"},
	"make build":   {source: true},
	"make demo":    {source: true, says: "knock"},
	"make install": {source: true, run: "make install DESTDIR=installed"},

	"knockd demo":                          {},
	"knockd init":                          {before: none, says: "knock -d 100 10.0.0.1"},
	"knockd check":                         {before: holds(sshDoor)},
	"knockd check -c /etc/knockd.conf":     {before: holds(plainDoor)},
	"knockd try 5m":                        {before: holds(sshDoor), after: hidden},
	"knockd confirm":                       {before: onTrial, throughSSH: true, after: hidden},
	"knockd reload":                        {before: runs(sshDoor), says: "reloaded"},
	"knockd rehearse":                      {before: rehearsing, says: "ssh"},
	"knockd status":                        {before: knocked, says: "10.0.0.2"},
	"knockd unhide":                        {before: runs(sshDoor), after: shown},
	"knockd open ssh 203.0.113.9 1h":       {before: runs(sshDoor), after: func(w *world) { want(w.t, w.server.run("knockd status"), "203.0.113.9") }},
	"knockd convert -c /etc/knockd.conf":   {before: holds(iptablesDoors), says: "+\topen"},
	"knockd convert":                       {before: holds(iptablesDoors), says: "+\topen"},
	"knockd -D -v":                         {before: none, run: "timeout 2 knockd -D -v -c /root/debug.conf; [ $? = 124 ]"},
	"systemctl enable knockd":              {},
	"systemctl enable --now knockd":        {before: holds(sshDoor), after: hidden},
	"systemctl enable --now knockd-native": {before: holds(sshDoor), after: hidden},
	"chmod 0600 /etc/knockd.conf":          {before: holds(plainDoor)},
	"knockd convert -c /etc/knockd.conf | patch -b /etc/knockd.conf": {
		before: holds(iptablesDoors),
		after:  func(w *world) { want(w.t, strings.ToLower(w.server.read("/etc/knockd.conf")), "tcp/22") },
	},

	"knock -d 100 server.example.org 7000 9000 8000 4000 && ssh server.example.org": {
		client: true, before: runs(longDoor), run: "knock -d 100 server.example.org 7000 9000 8000 4000 && ssh server.example.org echo welcome", says: "welcome",
	},
	"knock server.example.org 7000 9000 8000 && ssh server.example.org": {
		client: true, before: runs(sshDoor + "# not the one that was tried\n"), run: "knock -d 50 server.example.org 7000 9000 8000 && ssh server.example.org echo welcome", says: "welcome",
	},
	"knock -d 250 server.example.org 7000 9000 8000": {client: true, before: runs(plainDoor), after: func(w *world) { w.server.run(soon("grep -q 10.0.0.2 /root/opened")) }},
	"knock -d 100 server.example.org 27143 61902 14477 38260": {
		client: true, before: func(w *world) {
			runs(w.example("packaging/examples/wake-container/knockd.conf"))(w)
		},
		after: func(w *world) { w.server.run(soon("grep -q 'docker unpause game' /root/docker.calls")) },
	},

	"docker build -t knockd -f packaging/Dockerfile .": {covered: "packaging/Dockerfile"},
	"docker unpause":    {},
	"docker pause game": {},
	"docker run -d --name game --restart unless-stopped -p 25565:25565 example/game-server":                                                                        {},
	"docker run -d --net=host --cap-drop=ALL --cap-add=NET_RAW --cap-add=NET_ADMIN -v /etc/knockd.conf:/etc/knockd.conf:ro -v knockd-state:/var/lib/knockd knockd": {},
}
