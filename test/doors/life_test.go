package doors

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/daemontest"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// hammer sends SYNs to the hidden port from an address that never knocks, all the time, and counts the answers that come
// back. stop ends it.
func (l *lab) hammer() (answers func() uint64, stop func()) {
	l.t.Helper()
	stranger := netip.MustParseAddr("10.0.200.1")
	netlabtest.Check(l.t, netlab.AddNeighbour(l.Server, netlab.Interface, stranger, l.ClientMAC))
	var fd int
	netlabtest.Check(l.t, l.Client.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(uint32(unix.ETH_P_IP)<<8&0xffff|uint32(unix.ETH_P_IP)>>8))
		return err
	}))
	timeout := unix.NsecToTimeval(int64(50 * time.Millisecond))
	netlabtest.Check(l.t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout))
	i := netlabtest.NewInjector(l.t, l.Client, netlab.Interface, l.ServerMAC)
	var count atomic.Uint64
	var ending atomic.Bool
	sender, receiver := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(sender)
		for port := uint16(10000); !ending.Load(); port++ {
			_ = i.SendIP(packettest.Build(packet.Packet{
				Src: stranger, Dst: l.Server4, SrcPort: max(port, 10000), Port: packet.Port{Proto: packet.TCP, Number: 22}, Flags: packet.SYN,
			}, packettest.Options{}))
			time.Sleep(50 * time.Microsecond)
		}
	}()
	go func() {
		defer close(receiver)
		buf := make([]byte, 2048)
		for !ending.Load() {
			n, _, err := unix.Recvfrom(fd, buf, 0)
			var p packet.Packet
			if err == nil && packet.Parse(buf[:n], &p) == nil && p.Dst == stranger && p.SrcPort == 22 && p.Flags&packet.SYN != 0 {
				count.Add(1)
			}
		}
	}()
	return count.Load, func() {
		ending.Store(true)
		<-sender
		<-receiver
		_ = unix.Close(fd)
	}
}

// TestNeverVisible restarts, reloads, crashes and flushes under a hammer: the hidden port never answers a stranger, and
// who is let in stays in, for no longer.
func TestNeverVisible(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.start(ssh)
	l.knock()
	d.Wait("tcp/22 open")
	granted := time.Now()
	answers, stop := l.hammer()
	defer stop()
	for round := range 3 {
		d.Signal(syscall.SIGHUP)
		d.WaitCount("re-reading", round+1)
		l.knockd("reload")
	}
	l.open(true)
	for range 2 {
		d.Kill()
		l.open(true)
		d = l.start(ssh)
		l.open(true)
		if status := d.Stop(); status != 0 {
			t.Errorf("status %d", status)
		}
		l.open(true)
		d = l.start(ssh)
	}
	seen := answers()
	if seen > 0 {
		t.Errorf("the hidden port answered %d times over reloads, crashes and restarts", seen)
	}
	out := l.knockd("status", "--json")
	var left float64
	for line := range strings.Lines(out) {
		_, _ = fmt.Sscanf(strings.TrimSpace(line), `"left": %f`, &left)
	}
	if most := 10*time.Minute - time.Since(granted) + time.Second; time.Duration(left) > most || time.Duration(left) < most-time.Minute {
		t.Errorf("the grant has %v left, at most %v are its own", time.Duration(left), most)
	}
}

// TestFlush flushes the ruleset: where the kernel does not keep the table, it is back at once, with who was in.
func TestFlush(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.start(ssh)
	l.knock()
	d.Wait("tcp/22 open")
	for range 5 {
		l.nft("flush", "ruleset")
		daemontest.Eventually(t, "the table is back", func() bool { return l.elements() == 1 })
		l.open(true)
		if daemontest.Connects(t, l.Client, netip.AddrPortFrom(l.Server6, 22)) {
			t.Error("open for a stranger")
		}
	}
}

func TestAReloadThatTakesADoorAway(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.start(ssh)
	l.knock()
	d.Wait("tcp/22 open")
	// Another port: who is in keeps the old one alone, and that is shown to everybody now.
	d.Rewrite(strings.Replace(ssh, "tcp/22", "tcp/23", 1))
	l.knockd("reload")
	l.open(true)
	if out := l.knockd("status"); !strings.Contains(out, "hidden     tcp/23") {
		t.Errorf("%s", out)
	}
	// The door is gone, and its grants with it: a door of the same name that comes back begins with nobody.
	d.Rewrite("[other]\n\tsequence = 1,3,2\n\tcommand = true\n")
	l.knockd("reload")
	l.open(true)
	d.Rewrite(ssh)
	l.knockd("reload")
	l.open(false)
}

func TestABrokenFile(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.start(ssh)
	daemontest.Eventually(t, "a copy is kept", func() bool {
		return strings.Contains(daemontest.Read(t, filepath.Join(l.dir, "state", "last-good.conf")), "tcp/22")
	})
	d.Kill()
	netlabtest.Check(t, os.WriteFile(l.conf(), []byte(daemontest.Isolate(ssh+"nonsense\n", l.dir)), 0o600))
	if out := l.refused("check"); !strings.Contains(out, "knockd.conf:5: ") {
		t.Errorf("%s", out)
	}
	// The table is in the kernel: without a daemon nobody could get in. (The pointer to the copy is the last daemon's of the
	// machine, and other tests run beside: it is written anew.)
	netlabtest.Check(t, os.WriteFile(runDir+"/last-good", []byte(filepath.Join(l.dir, "state", "last-good.conf")+"\n"), 0o600))
	d = daemontest.Start(t, l.Server, daemontest.Options{Program: "knockd", Command: []string{"-v", "-i", "eth0", "-c", l.conf()}})
	d.Wait("listening on eth0...")
	d.Wait("running with the last good configuration")
	l.knock()
	d.Wait("tcp/22 open")
	l.open(true)
	// Once the file is right, a reload takes it.
	netlabtest.Check(t, os.WriteFile(l.conf(), []byte(daemontest.Isolate(ssh, l.dir)), 0o600))
	l.knockd("reload")
	if out := l.knockd("status"); strings.Contains(out, "WARNING") {
		t.Errorf("%s", out)
	}
}

func TestUnhide(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.start(ssh)
	l.open(false)
	l.knockd("unhide")
	l.open(true)
	l.knockd("reload")
	l.open(false)
	d.Kill()
	l.open(false)
	l.knockd("unhide") // no daemon
	l.open(true)
	if out := l.knockd("guard"); !strings.Contains(out, "tcp/22") {
		t.Errorf("%s", out)
	}
	l.open(false)
	l.start(ssh) // takes over
	l.knock()
	l.eventually(true)
}

// TestAnotherBoot begins with grants in the kernel that a ruleset was loaded with: they are not ours. It does not run beside
// other tests: the mark of the boot is one for the machine.
func TestAnotherBoot(t *testing.T) {
	l := newLab(t)
	d := l.start(ssh)
	l.knock()
	d.Wait("tcp/22 open")
	d.Kill()
	l.open(true)
	netlabtest.Check(t, os.WriteFile(runDir+"/boot", []byte("another\n"), 0o644))
	l.start(ssh)
	l.open(false)
}
