package firewall_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/config"
	"knockd/internal/firewall"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
)

// patience bounds every wait for what must come; it is generous, for loaded machines.
const patience = 25 * time.Second

// silence is how long a client waits for an answer that must not come.
const silence = 150 * time.Millisecond

// lab is a server with a firewall, and a client.
type lab struct {
	*testing.T
	*netlab.Pair
}

func newLab(t *testing.T) *lab { return &lab{T: t, Pair: netlabtest.NewPair(t)} }

// kernel opens nftables in the server's namespace.
func (l *lab) kernel() *firewall.Kernel {
	l.Helper()
	var k *firewall.Kernel
	netlabtest.Check(l, l.Server.Do(func() (err error) { k, err = firewall.NewKernel(); return err }))
	l.Cleanup(func() { _ = k.Close() })
	return k
}

// nft runs nft in the server's namespace.
func (l *lab) nft(args ...string) string {
	l.Helper()
	return netlabtest.Run(l, l.Server, "nft", args...)
}

// serve listens on a TCP port of the server, of both families, and answers each line with itself.
func (l *lab) serve(port uint16) {
	l.Helper()
	var listener net.Listener
	netlabtest.Check(l, l.Server.Do(func() (err error) {
		listener, err = net.ListenTCP("tcp", &net.TCPAddr{Port: int(port)})
		return err
	}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go echo(c)
		}
	}()
	l.Cleanup(func() { _ = listener.Close(); <-done })
}

func echo(c net.Conn) {
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	buffer := make([]byte, 256)
	for {
		n, err := c.Read(buffer)
		if err != nil {
			return
		}
		if _, err := c.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// connect opens a TCP connection from the client, within wait.
func (l *lab) connect(from, to netip.Addr, port uint16, wait time.Duration) (net.Conn, error) {
	return dialIn(l.Client, from, to, port, wait)
}

func dialIn(ns *netlab.Namespace, from, to netip.Addr, port uint16, wait time.Duration) (net.Conn, error) {
	dialer := net.Dialer{Timeout: wait, KeepAlive: -1}
	if from.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	var c net.Conn
	err := ns.Do(func() (err error) {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		c, err = dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(to, port).String())
		return err
	})
	return c, err
}

// reaches reports whether a client gets a connection at once; it tries for long enough that a loaded machine answers.
func (l *lab) reaches(from netip.Addr, port uint16) bool {
	l.Helper()
	to := l.Server4
	if from.Is6() {
		to = l.Server6
	}
	c, err := l.connect(from, to, port, silence)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

// opened fails the test unless the port is reached before patience ends.
func (l *lab) opened(from netip.Addr, port uint16) {
	l.Helper()
	eventually(l, "port open", func() bool { return l.reaches(from, port) })
}

func (l *lab) hidden(from netip.Addr, port uint16) {
	l.Helper()
	if l.reaches(from, port) {
		l.Fatalf("port %d is shown to %s\n%s", port, from, l.nft("list", "ruleset"))
	}
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, patience)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustFail(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

// ssh is a door for one TCP port.
func ssh(port uint16) firewall.Door {
	return firewall.Door{
		Name: "ssh", Ports: []config.PortRange{{Proto: packet.TCP, First: port, Last: port}},
		Admit4: 32, Admit6: 128, MaxOpen: 4096,
	}
}

func rules(doors ...firewall.Door) firewall.Rules { return firewall.Rules{Doors: doors} }

// refused reports whether an error is what a closed port answers.
func refused(err error) bool { return errors.Is(err, unix.ECONNREFUSED) }

// serveUDP answers each datagram to a port of the server with itself.
func (l *lab) serveUDP(port uint16) {
	l.Helper()
	serveUDPIn(l.T, l.Server, port)
}

func serveUDPIn(t *testing.T, ns *netlab.Namespace, port uint16) {
	t.Helper()
	var c *net.UDPConn
	netlabtest.Check(t, ns.Do(func() (err error) {
		c, err = net.ListenUDP("udp", &net.UDPAddr{Port: int(port)})
		return err
	}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 256)
		for {
			n, from, err := c.ReadFromUDP(buffer)
			if err != nil {
				return
			}
			_, _ = c.WriteToUDP(buffer[:n], from)
		}
	}()
	t.Cleanup(func() { _ = c.Close(); <-done })
}

// ask sends a datagram from the client and waits for the answer.
func (l *lab) ask(from, to netip.Addr, port uint16, wait time.Duration) (net.Conn, error) {
	var c net.Conn
	err := l.Client.Do(func() (err error) {
		c, err = net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)),
			net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, port)))
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := askOn(c, wait); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

func askOn(c net.Conn, wait time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 16))
	return err
}

// counted is the number of packets that the counter of a chain of the server has seen.
func (l *lab) counted(table, chain string) int {
	l.Helper()
	_, rest, _ := strings.Cut(l.nft("list", "chain", "inet", table, chain), "counter packets ")
	number, _, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(number)
	must(l, err)
	return n
}
