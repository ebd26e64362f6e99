package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
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
}

// addresses is how many sources there are: each measurement begins with one that is not let in.
const addresses = 4000

// source returns the next address of the client.
func (p *prober) source() netip.Addr {
	p.next++
	n := p.next % addresses
	return netip.AddrFrom4([4]byte{10, 0, byte(16 + n/250), byte(1 + n%250)})
}

func (b *bench) newProber() (*prober, error) {
	i, err := netlab.NewInjector(b.pair.Client, netlab.Interface, b.pair.ServerMAC)
	if err != nil {
		return nil, err
	}
	return &prober{bench: b, injector: i, next: b.used}, nil
}

func (p *prober) close() {
	p.bench.used = p.next
	_ = p.injector.Close()
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
		_, _ = unix.Write(fd, []byte("probe"))
		// The server answers within microseconds: look a few times before the next probe.
		for range 8 {
			if _, _, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT); err == nil {
				return time.Since(began), nil
			}
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

// serve answers datagrams at the guarded port, until it is closed.
func (b *bench) serve() error {
	return b.pair.Server.Do(func() error {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: b.pair.Server4.AsSlice(), Port: guarded})
		if err != nil {
			return err
		}
		b.echo = conn
		go func() {
			buf := make([]byte, 64)
			for {
				n, from, err := conn.ReadFromUDPAddrPort(buf)
				if err != nil {
					return
				}
				_, _ = conn.WriteToUDPAddrPort(buf[:n], from)
			}
		}()
		return nil
	})
}

// latencies measures n knocks.
func (b *bench) latencies(ctx context.Context, n int, gap time.Duration) (sample, error) {
	p, err := b.newProber()
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
