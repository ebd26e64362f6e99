package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/netlab"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// The knock and the guarded port of every measurement.
var knockPorts = []uint16{7000, 9000, 8000}

const guarded = 5000

// native is the door that is measured.
const native = "[bench]\n\tSequence = 7000,9000,8000\n\tOpen = udp/5000\n\tOpen_For = 10m\n"

// prober knocks and probes from one address of the client after another.
type prober struct {
	bench    *bench
	injector *netlab.Injector
	next     int
	// spin probes without a pause, on the sender's CPU; beside a flood, which needs that one, the prober shares the daemon's and
	// sleeps between probes.
	spin bool
	free func()
}

// addresses is how many sources there are: each measurement begins with one that is not let in.
const addresses = 4000

// source returns the next address of the client.
func (p *prober) source() netip.Addr {
	p.next++
	n := p.next % addresses
	return netip.AddrFrom4([4]byte{10, 0, byte(16 + n/250), byte(1 + n%250)})
}

func (b *bench) newProber(spin bool) (*prober, error) {
	cpu := senderCPU
	if !spin {
		cpu = daemonCPU
	}
	free, err := pinThread(cpu)
	if err != nil {
		return nil, err
	}
	i, err := netlab.NewInjector(b.pair.Client, netlab.Interface, b.pair.ServerMAC)
	if err != nil {
		return nil, err
	}
	return &prober{bench: b, injector: i, next: b.used, spin: spin, free: free}, nil
}

// pinThread keeps the calling goroutine on one CPU until it is freed.
func pinThread(cpu int) (free func(), err error) {
	runtime.LockOSThread()
	var old, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		return nil, err
	}
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return nil, err
	}
	return func() { _ = unix.SchedSetaffinity(0, &old); runtime.UnlockOSThread() }, nil
}

func (p *prober) close() {
	p.bench.used = p.next
	_ = p.injector.Close()
	p.free()
}

// hit sends one SYN.
func (p *prober) hit(from netip.Addr, port uint16) error {
	return p.injector.SendIP(packettest.Build(packet.Packet{
		Src: from, Dst: p.bench.pair.Server4, SrcPort: 30000 + port%1000,
		Port: packet.Port{Proto: packet.TCP, Number: port}, Flags: packet.SYN,
	}, packettest.Options{}))
}

// knock sends all but the last hit, and returns what sends that.
func (p *prober) knock(from netip.Addr, gap time.Duration) (last func() error, err error) {
	for _, port := range knockPorts[:len(knockPorts)-1] {
		if err := p.hit(from, port); err != nil {
			return nil, err
		}
		time.Sleep(gap)
	}
	return func() error { return p.hit(from, knockPorts[len(knockPorts)-1]) }, nil
}

var errShut = errors.New("the door did not open")

// open measures one knock: from the last packet to the first answer from behind the door.
func (p *prober) open(ctx context.Context, gap, within time.Duration) (time.Duration, error) {
	from := p.source()
	last, err := p.knock(from, gap)
	if err != nil {
		return 0, err
	}
	return p.untilAnswer(ctx, from, last, within)
}

// untilAnswer does something and probes until there is an answer.
func (p *prober) untilAnswer(ctx context.Context, from netip.Addr, do func() error, within time.Duration) (time.Duration, error) {
	fd, err := p.dial(from)
	if err != nil {
		return 0, err
	}
	defer func() { _ = unix.Close(fd) }()
	began := time.Now()
	if err := do(); err != nil {
		return 0, err
	}
	buf := make([]byte, 64)
	for time.Since(began) < within && ctx.Err() == nil {
		if _, err := unix.Write(fd, []byte("probe")); errors.Is(err, unix.ECONNREFUSED) {
			return time.Since(began), nil
		}
		if !p.spin {
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			_, _ = unix.Ppoll(fds, &unix.Timespec{Nsec: int64(50 * time.Microsecond)}, nil)
		}
		// The answer, if there is one, comes before the write returns: nobody listens behind the door.
		if _, _, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT); err == nil || errors.Is(err, unix.ECONNREFUSED) {
			return time.Since(began), nil
		}
	}
	return 0, errShut
}

// dial makes a datagram socket from an address of the client to the guarded port.
func (p *prober) dial(from netip.Addr) (int, error) {
	fd := -1
	err := p.bench.pair.Client.Do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
			return err
		}
		if err = unix.Bind(fd, &unix.SockaddrInet4{Addr: from.As4()}); err != nil {
			return err
		}
		return unix.Connect(fd, &unix.SockaddrInet4{Addr: p.bench.pair.Server4.As4(), Port: guarded})
	})
	return fd, err
}

// answer sets the server's kernel to answer each datagram to the guarded port, where nobody listens, by an ICMP message: the door
// is measured, and no server behind it.
func (b *bench) answer() error {
	out, err := b.pair.Server.Command(context.Background(), "sysctl", "-qw", "net.ipv4.icmp_ratelimit=0").CombinedOutput()
	if err != nil {
		return fmt.Errorf("sysctl: %w: %s", err, out)
	}
	return nil
}

// latencies measures n knocks.
func (b *bench) latencies(ctx context.Context, n int, gap time.Duration) (sample, error) {
	p, err := b.newProber(true)
	if err != nil {
		return nil, err
	}
	defer p.close()
	var s sample
	for i := range n {
		took, err := p.open(ctx, gap, 5*time.Second)
		if err != nil {
			return s, fmt.Errorf("knock %d of %d: %w", i+1, n, err)
		}
		s = append(s, took)
		time.Sleep(time.Millisecond)
	}
	return s, nil
}

// knockdConf is the reference's door, which opens by iptables and closes again, so that its rules don't pile up.
const knockdConf = `[options]
	Interface = eth0
[bench]
	sequence      = 7000,9000,8000
	seq_timeout   = 25
	start_command = /usr/sbin/iptables -I INPUT -s %IP% -p udp --dport 5000 -j ACCEPT
	cmd_timeout   = 1
	stop_command  = /usr/sbin/iptables -D INPUT -s %IP% -p udp --dport 5000 -j ACCEPT
`
