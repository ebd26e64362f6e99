package doors

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"knockd/internal/daemontest"
	"knockd/internal/netlab/netlabtest"
)

func TestOpensForWhoKnocked(t *testing.T) {
	t.Parallel()
	for _, hide := range []string{"drop", "reset"} {
		t.Run(hide, func(t *testing.T) {
			l := newLab(t)
			l.open(true)
			d := l.start(ssh + "\tHide = " + hide + "\n")
			l.open(false)
			l.knock()
			d.Wait("10.0.0.2: ssh: tcp/22 open for 10m0s")
			l.open(true)
			if daemontest.Connects(t, l.Client, netip.AddrPortFrom(l.Server6, 22)) {
				t.Error("open for the client's other address")
			}
			daemontest.Knock(t, l.Client, l.Server6, "7000", "9000", "8000")
			d.Wait("fd00::2: ssh: tcp/22 open")
			if !daemontest.Connects(t, l.Client, netip.AddrPortFrom(l.Server6, 22)) {
				t.Error("not open over IPv6")
			}
			if out := l.knockd("status"); !strings.Contains(out, "10.0.0.2 for 9m") && !strings.Contains(out, "10.0.0.2 for 10m") {
				t.Errorf("status:\n%s", out)
			}
			l.knockd("close", "ssh", "10.0.0.2")
			l.open(false)
			l.knockd("open", "ssh", "10.0.0.2", "1h")
			l.open(true)
		})
	}
}

// TestTheKernelCloses kills the daemon: what it granted ends on time all the same, and the port stays hidden.
func TestTheKernelCloses(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.start(strings.Replace(ssh, "10m", "8s", 1))
	l.knock()
	d.Wait("open for 8s")
	l.open(true)
	d.Kill()
	l.eventually(false)
}

func TestASessionFromBefore(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.echo()
	before := l.dial()
	says(t, before)
	d := l.start("[ssh]\n\tSequence = 7000,9000,8000\n\tOpen = tcp/2222\n\tOpen_For = 8s\n")
	time.Sleep(time.Second) // idle
	says(t, before)
	l.knock()
	d.Wait("open for 8s")
	granted := l.dial()
	says(t, granted)
	daemontest.Eventually(t, "the grant ends", func() bool { return l.elements() == 0 })
	says(t, granted) // what is established outlives the grant
	d.Kill()
	says(t, before)
}

func TestAThousandKnocksAreOneElement(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.start(ssh)
	i := l.injector()
	const knocks = 1000
	for n := range knocks {
		i.knock(l.Client4)
		if n%100 == 99 {
			d.WaitCount("ssh: OPEN SESAME", n+1)
		}
	}
	d.WaitCount("ssh: tcp/22 open for 10m0s", knocks)
	if n := l.elements(); n != 1 {
		t.Errorf("%d elements", n)
	}
}

// TestFull grants as many as a door has room for, hosts or networks, and refuses one more.
func TestFull(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		more   string
		source func(n int) netip.Addr
	}{
		"hosts":    {"", func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 9, byte(n >> 8), byte(n)}) }},
		"networks": {"\tAdmit = /24\n", func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 7}) }},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			d := l.start(ssh + test.more)
			i := l.injector()
			const most = 4096
			for n := range most {
				i.knock(test.source(n + 256))
				if n%256 == 255 {
					d.WaitCount("ssh: tcp/22 open", n+1)
				}
			}
			if n := l.elements(); n != most {
				t.Errorf("%d elements", n)
			}
			i.knock(test.source(most + 256))
			d.Wait("the door has as many grants as Max_Open allows")
			if n := l.elements(); n != most {
				t.Errorf("%d elements after one too many", n)
			}
		})
	}
}

func TestAdmitNetworks(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	netlabtest.Addr(t, l.Client, "eth0", "10.0.0.77/16")
	netlabtest.Addr(t, l.Client, "eth0", "10.0.1.77/16")
	d := l.start(ssh + "\tAdmit = /24, /56\n")
	l.knock()
	d.Wait("tcp/22 open")
	for source, want := range map[string]bool{"10.0.0.77": true, "10.0.1.77": false} {
		out := netlabtest.Run(t, l.Client, "sh", "-c",
			fmt.Sprintf("timeout 2 nc -n -w 1 -s %s %s 22 </dev/null || true", source, l.Server4))
		if got := strings.Contains(out, "hello"); got != want {
			t.Errorf("a neighbour at %s: %v", source, got)
		}
	}
}

func TestUDP(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.start("[wg]\n\tSequence = 7000,9000,8000\n\tOpen = udp/51820\n")
	server := func() {
		netlabtest.Run(t, l.Server, "sh", "-c", "timeout 20 nc -n -u -l -p 51820 > "+l.dir+"/got 2>/dev/null & :")
	}
	server()
	send := func() {
		netlabtest.Run(t, l.Client, "sh", "-c", fmt.Sprintf("echo datagram | nc -n -u -w 1 %s 51820 || true", l.Server4))
	}
	send()
	if got := daemontest.Read(t, l.dir+"/got"); got != "" {
		t.Errorf("hidden, and %q came", got)
	}
	l.knock()
	d.Wait("udp/51820 open")
	daemontest.Eventually(t, "a datagram comes", func() bool { send(); return strings.Contains(daemontest.Read(t, l.dir+"/got"), "datagram") })
}

func TestAlwaysAllow(t *testing.T) {
	t.Parallel()
	for _, allow := range []string{"10.0.0.0/24", "eth0"} {
		t.Run(allow, func(t *testing.T) {
			l := newLab(t)
			d := l.start("[options]\n\tAlways_Allow = " + allow + "\n" + ssh)
			l.open(true)
			d.Rewrite(ssh)
			l.knockd("reload")
			l.open(false)
		})
	}
}

func TestRehearse(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	netlabtest.Addr(t, l.Client, "eth0", "10.0.0.3/16")
	d := l.start(ssh + "\tHide = rehearse\n")
	l.open(true)
	netlabtest.Run(t, l.Client, "knock", "-d", "20", "--source", "10.0.0.3", "10.0.0.1", "7000", "9000", "8000")
	d.Wait("10.0.0.3: ssh: OPEN SESAME")
	out := l.knockd("rehearse")
	if !strings.Contains(out, "10.0.0.2 ssh: never knocked (once,") || !strings.Contains(out, "10.0.0.3 ssh: knocked each time") ||
		!strings.Contains(out, "1 would have been locked out") {
		t.Errorf("%s", out)
	}
	d.Rewrite(ssh)
	d.Signal(syscall.SIGHUP)
	l.eventually(false)
	if out := l.refused("rehearse"); !strings.Contains(out, "Hide = rehearse") {
		t.Errorf("%s", out)
	}
}
