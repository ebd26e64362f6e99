// Package doors runs native doors as their users meet them: real connections against real nftables.
package doors

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"knockd/internal/daemontest"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

func TestMain(m *testing.M) { daemontest.Main(m) }

// lab is a server with a service at port 22, and a client.
type lab struct {
	*netlab.Pair
	t   *testing.T
	dir string
	// daemon is the one that runs.
	daemon *daemontest.Daemon
}

// ssh is the door of most tests.
const ssh = "[ssh]\n\tSequence = 7000,9000,8000\n\tOpen = tcp/22\n\tOpen_For = 10m\n"

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{Pair: netlabtest.NewPair(t), t: t, dir: t.TempDir()}
	netlabtest.Check(t, os.Chmod(l.dir, 0o755))
	daemontest.Serve(t, l.Server, netip.AddrPortFrom(l.Server4, 22))
	daemontest.Serve(t, l.Server, netip.AddrPortFrom(l.Server6, 22))
	return l
}

// runDir is where daemons keep what does not outlive a boot: the tests' own /run, so tests that need another boot's
// marker don't run beside others.
const runDir = "/run/knockd"

// start starts a daemon with a configuration and waits until it listens.
func (l *lab) start(text string) *daemontest.Daemon {
	l.t.Helper()
	l.daemon = daemontest.Start(l.t, l.Server, daemontest.Options{Config: text, Dir: l.dir, Args: []string{"-v", "-i", "eth0"}})
	l.daemon.Wait("listening on eth0...")
	return l.daemon
}

func (l *lab) conf() string { return filepath.Join(l.dir, "knockd.conf") }

// knockd runs a verb at the server, and fails the test if that fails.
func (l *lab) knockd(verb string, args ...string) string {
	l.t.Helper()
	return netlabtest.Run(l.t, l.Server, "knockd", append([]string{verb, "-c", l.conf()}, args...)...)
}

// refused runs a verb that must fail, and returns what it said.
func (l *lab) refused(verb string, args ...string) string {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), daemontest.Patience)
	defer cancel()
	out, err := l.Server.Command(ctx, "knockd", append([]string{verb, "-c", l.conf()}, args...)...).CombinedOutput()
	if err == nil {
		l.t.Errorf("knockd %s %q did not fail:\n%s", verb, args, out)
	}
	return string(out)
}

func (l *lab) knock() {
	l.t.Helper()
	daemontest.Knock(l.t, l.Client, l.Server4, "7000", "9000", "8000")
}

func (l *lab) open(want bool) {
	l.t.Helper()
	if got := daemontest.Connects(l.t, l.Client, netip.AddrPortFrom(l.Server4, 22)); got != want {
		l.t.Fatalf("a connection to port 22: %v, want %v", got, want)
	}
}

func (l *lab) eventually(want bool) {
	l.t.Helper()
	daemontest.Eventually(l.t, fmt.Sprintf("connections to port 22: %v", want), func() bool {
		return daemontest.Connects(l.t, l.Client, netip.AddrPortFrom(l.Server4, 22)) == want
	})
}

func (l *lab) nft(args ...string) string {
	l.t.Helper()
	return netlabtest.Run(l.t, l.Server, "nft", args...)
}

// elements counts the sources in the sets of native doors.
func (l *lab) elements() int {
	l.t.Helper()
	return len(element.FindAllString(l.nft("list", "table", "inet", "knockd"), -1))
}

var element = regexp.MustCompile(`\b10\.\d+\.\d+\.\d+`)

// injector knocks for many sources quickly.
type injector struct {
	l *lab
	i *netlab.Injector
}

func (l *lab) injector() *injector {
	l.t.Helper()
	return &injector{l, netlabtest.NewInjector(l.t, l.Client, netlab.Interface, l.ServerMAC)}
}

func (i *injector) hit(from netip.Addr, port uint16) {
	i.l.t.Helper()
	to := i.l.Server4
	if from.Is6() {
		to = i.l.Server6
	}
	netlabtest.Check(i.l.t, i.i.SendIP(packettest.Build(packet.Packet{
		Src: from, Dst: to, SrcPort: 12345, Port: packet.Port{Proto: packet.TCP, Number: port}, Flags: packet.SYN,
	}, packettest.Options{})))
}

func (i *injector) knock(from netip.Addr) {
	i.l.t.Helper()
	for _, port := range []uint16{7000, 9000, 8000} {
		i.hit(from, port)
	}
}

// dial opens a connection from the client.
func (l *lab) dial() net.Conn {
	l.t.Helper()
	var conn net.Conn
	netlabtest.Check(l.t, l.Client.Do(func() (err error) {
		conn, err = (&net.Dialer{Timeout: 5 * time.Second}).Dial("tcp", netip.AddrPortFrom(l.Server4, 2222).String())
		return err
	}))
	l.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// echo serves connections at port 2222 that answer what is said.
func (l *lab) echo() {
	l.t.Helper()
	listener, err := l.Server.ListenTCP(netip.AddrPortFrom(l.Server4, 2222))
	netlabtest.Check(l.t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				buf := make([]byte, 64)
				for {
					n, err := conn.Read(buf)
					if err != nil {
						_ = conn.Close()
						return
					}
					_, _ = conn.Write(buf[:n])
				}
			}()
		}
	}()
	l.t.Cleanup(func() { _ = listener.Close(); <-done })
}

// says speaks over a connection and waits for the answer.
func says(t *testing.T, conn net.Conn) {
	t.Helper()
	netlabtest.Check(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err := conn.Write([]byte("hello"))
	netlabtest.Check(t, err)
	buf := make([]byte, 64)
	if _, err := conn.Read(buf); err != nil {
		t.Fatalf("the session does not live on: %v", err)
	}
}

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// connect joins a container to the server, which forwards to it.
func connect(t *testing.T, l *lab, container *netlab.Namespace) {
	t.Helper()
	netlabtest.Check(t, netlab.Veth(l.Server, "docker0", container, "eth0"))
	netlabtest.Addr(t, l.Server, "docker0", "172.17.0.1/16")
	netlabtest.Addr(t, container, "eth0", "172.17.0.2/16")
	netlabtest.Check(t, netlab.SetUp(l.Server, "docker0"))
	netlabtest.Check(t, netlab.SetUp(container, "eth0"))
	netlabtest.Run(t, container, "ip", "route", "add", "default", "via", "172.17.0.1")
	netlabtest.Run(t, l.Server, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
}
