package firewall_test

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/config"
	"knockd/internal/firewall"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// plain makes the table beforehand, without flags: what follows is as on a kernel without owner and persist.
func (l *lab) plain() *lab {
	l.Helper()
	l.nft("add table inet knockd")
	return l
}

// modes runs a test with and without the flags owner and persist.
func modes(t *testing.T, body func(t *testing.T, l *lab)) {
	t.Parallel()
	t.Run("owner", func(t *testing.T) { body(t, newLab(t)) })
	t.Run("plain", func(t *testing.T) { body(t, newLab(t).plain()) })
}

// While the table is rebuilt again and again, no segment of a flood gets through.
func TestReinstallShowsNothing(t *testing.T) {
	modes(t, func(t *testing.T, l *lab) {
		l.serve(22)
		k := l.kernel()
		must(t, k.Install(t.Context(), rules(ssh(22)), nil))
		l.nft("add table inet see; add chain inet see out { type filter hook output priority 0; }; " +
			"add rule inet see out tcp sport 22 counter")
		stop := l.flood()
		for range 20 {
			must(t, k.Install(t.Context(), rules(ssh(22)), nil))
		}
		if sent := stop(); sent < 100 {
			t.Fatalf("the flood was %d segments", sent)
		}
		if n := l.counted("see", "out"); n > 0 {
			t.Fatalf("%d answers left the hidden port", n)
		}
		must(t, k.Remove(t.Context()))
		l.opened(l.Client4, 22)
		eventually(t, "the counter to count", func() bool { return l.counted("see", "out") > 0 })
	})
}

// flood sends first segments of connections to port 22 until the returned function is called, which counts them.
func (l *lab) flood() func() int {
	l.Helper()
	injector := netlabtest.NewInjector(l, l.Client, "eth0", l.ServerMAC)
	done, sent := make(chan struct{}), make(chan int)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				sent <- n
				return
			default:
			}
			p := packet.Packet{
				Src: l.Client4, Dst: l.Server4, SrcPort: uint16(1024 + n%60000),
				Port: packet.Port{Proto: packet.TCP, Number: 22}, Flags: packet.SYN,
			}
			_ = injector.SendIP(packettest.Build(p, packettest.Options{}))
		}
	}()
	return func() int { close(done); return <-sent }
}

// A new process finds the grants with their remaining time and takes the table over.
func TestNewProcessTakesOver(t *testing.T) {
	modes(t, func(t *testing.T, l *lab) {
		l.serve(22)
		door := ssh(22)
		door.Name = "my \"ssh\" 100% door\\"
		first := l.kernel()
		must(t, first.Install(t.Context(), rules(door), nil))
		must(t, first.Grant(t.Context(), door.Name, l.Client4, time.Hour))
		before := only(t, first)
		must(t, first.Close())
		l.hidden(l.Client6, 22)

		second := l.kernel()
		present, err := second.Present(t.Context())
		must(t, err)
		if found := only(t, second); !present || found.Door != door.Name || found.Left > before.Left {
			t.Fatalf("found %v (%t), left was %v", found, present, before)
		}
		must(t, second.Install(t.Context(), rules(door), nil))
		if after := only(t, second); after.Left > before.Left || after.Left < before.Left-30*time.Second {
			t.Fatalf("%s were left, and %s in a new process", before.Left, after.Left)
		}
		if first.Owner() != second.Owner() {
			t.Fatalf("the owner flag was %t, and is %t", first.Owner(), second.Owner())
		}
		l.opened(l.Client4, 22)
		must(t, second.Remove(t.Context()))
	})
}

func TestHidden(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	k := l.kernel()
	look := func() string {
		ports, err := k.Hidden(t.Context())
		must(t, err)
		var text []string
		for _, r := range ports {
			text = append(text, netip.AddrPortFrom(netip.IPv4Unspecified(), r.First).String()+"-"+
				netip.AddrPortFrom(netip.IPv4Unspecified(), r.Last).String()+r.Proto.String())
		}
		return strings.ReplaceAll(strings.Join(text, " "), "0.0.0.0:", "")
	}
	if got := look(); got != "" {
		t.Errorf("without a table %q are hidden", got)
	}
	a, b, c := ssh(22), ssh(23), udpDoor(65000)
	a.Ports = append(a.Ports, config.PortRange{Proto: packet.TCP, First: 1000, Last: 65535})
	b.Name, c.Ports[0].Last = "telnet", 65001
	rehearsed := ssh(24)
	rehearsed.Name, rehearsed.Hide = "rehearsed", config.HideRehearse
	must(t, k.Install(t.Context(), rules(a, b, c, rehearsed), nil))
	if got, want := look(), "22-23tcp 1000-65535tcp 65000-65001udp"; got != want {
		t.Errorf("hidden are %q, want %q", got, want)
	}
}

// Only one living process owns the table, and nobody else changes it.
func TestOwnedByAnother(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	first, second := l.kernel(), l.kernel()
	must(t, first.Install(t.Context(), rules(ssh(22)), nil))
	if !first.Owner() {
		t.Skip("this kernel has no tables that outlive their owner (Linux 6.9)")
	}
	for _, err := range []error{second.Install(t.Context(), rules(ssh(22)), nil), second.Remove(t.Context())} {
		if _, ok := errors.AsType[*firewall.OwnedError](err); !ok {
			t.Errorf("a second owner gets %v", err)
		}
	}
	must(t, first.Install(t.Context(), rules(ssh(23)), nil))
	l.nft("flush ruleset")
	must(t, first.Grant(t.Context(), "ssh", l.Client4, time.Minute))
}

// After a flush nothing but Install is needed, and Watch says who did it.
func TestFlushIsSeenAndRestored(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serve(22)
	k := l.kernel()
	losses := l.watch(k)
	for range 3 {
		must(t, k.Remove(t.Context()))
		l.plain()
		must(t, k.Install(t.Context(), rules(ssh(22)), nil))
		must(t, k.Grant(t.Context(), "ssh", l.Client4, time.Hour))
		remembered := list(t, k)
		l.nft("flush ruleset")
		loss := l.lost(losses)
		if loss.Process != "nft" || loss.PID == 0 || loss.What != "the table inet knockd" {
			t.Errorf("the culprit is %+v", loss)
		}
		if err := k.Grant(t.Context(), "ssh", l.Client6, time.Minute); !firewall.IsLost(err) {
			t.Errorf("a grant without the table gives %v", err)
		}
		must(t, k.Install(t.Context(), rules(ssh(22)), remembered))
		l.hidden(l.Client6, 22)
		l.opened(l.Client4, 22)
	}
}

// watch runs Watch beside the test.
func (l *lab) watch(k *firewall.Kernel) <-chan firewall.Loss {
	l.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	losses, done := make(chan firewall.Loss, 1), make(chan error, 1)
	started := make(chan struct{})
	go func() {
		runtime.LockOSThread() // the socket is made in the namespace of this thread
		var err error
		_ = l.Server.Do(func() error {
			close(started)
			err = k.Watch(ctx, losses)
			return nil
		})
		done <- err
	}()
	<-started
	l.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			l.Errorf("watching: %v", err)
		}
	})
	// It listens once it reports somebody's change.
	return losses
}

func (l *lab) lost(losses <-chan firewall.Loss) firewall.Loss {
	l.Helper()
	select {
	case loss := <-losses:
		return loss
	case <-time.After(patience):
		l.Fatal("no loss was reported")
		return firewall.Loss{}
	}
}

// Changes by others are reported whatever they are; our own are not.
func TestWatchSeesChanges(t *testing.T) {
	t.Parallel()
	l := newLab(t).plain()
	k := l.kernel()
	losses := l.watch(k)
	install := func() { must(t, k.Install(t.Context(), rules(ssh(22)), nil)) }
	for _, change := range []string{"chain", "rule", "lease", "elsewhere"} {
		install()
		must(t, k.Grant(t.Context(), "ssh", l.Client4, time.Minute))
		must(t, k.Revoke(t.Context(), "ssh", l.Client4))
		must(t, k.Renew(t.Context()))
		table := l.nft("list", "table", "inet", "knockd")
		g, _, _ := strings.Cut(table[strings.Index(table, "chain g")+len("chain "):], "_")
		switch change {
		case "chain":
			l.nft("flush", "chain", "inet", "knockd", g+"_prerouting")
		case "rule":
			l.nft("insert", "rule", "inet", "knockd", g+"_hide0", "accept")
		case "lease":
			l.nft("flush", "set", "inet", "knockd", g+"_lease")
		case "elsewhere":
			l.nft("add table inet other; delete table inet other")
			select {
			case loss := <-losses:
				t.Errorf("another table's change is reported: %+v", loss)
			case <-time.After(silence):
			}
			continue
		}
		l.lost(losses)
	}
}

func TestPermissionIsNamed(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its capabilities
		failed <- l.Server.Do(func() error {
			if err := dropNetAdmin(); err != nil {
				return err
			}
			k, err := firewall.NewKernel()
			if err == nil {
				_ = k.Close()
			}
			return err
		})
	}()
	err := <-failed
	if _, ok := errors.AsType[*firewall.PermissionError](err); !ok || !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("without the capability: %v", err)
	}
	if !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
		t.Errorf("the capability is not named: %v", err)
	}
}

// dropNetAdmin takes CAP_NET_ADMIN from the calling thread.
func dropNetAdmin() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	return unix.Capset(&header, &data[0])
}

func TestRehearsed(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serve(22)
	door := ssh(22)
	door.Hide = config.HideRehearse
	k := l.kernel()
	must(t, k.Install(t.Context(), rules(door), nil))
	for range 3 {
		l.opened(l.Client4, 22)
		l.opened(l.Client6, 22)
	}
	must(t, k.Install(t.Context(), rules(door), nil)) // the record outlives a reload
	seen, err := k.Rehearsed(t.Context())
	must(t, err)
	if len(seen) != 2 {
		t.Fatalf("seen are %v", seen)
	}
	for _, s := range seen {
		if s.Door != "ssh" || s.Source != l.Client4 && s.Source != l.Client6 || s.Ago < 0 || s.Ago > time.Minute {
			t.Errorf("seen is %+v", s)
		}
	}
	must(t, k.Grant(t.Context(), "ssh", l.Client4, time.Hour))
	must(t, k.Install(t.Context(), rules(ssh(22)), nil))
	if seen, err = k.Rehearsed(t.Context()); err != nil || len(seen) > 0 {
		t.Fatalf("after the rehearsal: %v, %v", seen, err)
	}
	l.opened(l.Client4, 22)
}
