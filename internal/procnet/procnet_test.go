package procnet

import (
	"net"
	"os"
	"slices"
	"testing"

	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
)

func TestMain(m *testing.M) { os.Exit(netlabtest.Leaks(m)) }

// TestOwnSockets finds what this process listens on, and that it is its own.
func TestOwnSockets(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tcp.Close() }()
	udp, err := net.ListenPacket("udp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = udp.Close() }()
	held := Held("/proc/self")
	for _, want := range []struct {
		proto packet.Proto
		addr  net.Addr
		state State
	}{{packet.TCP, tcp.Addr(), Listening}, {packet.UDP, udp.LocalAddr(), Closed}} {
		var number uint16
		switch a := want.addr.(type) {
		case *net.TCPAddr:
			number = uint16(a.Port)
		case *net.UDPAddr:
			number = uint16(a.Port)
		}
		port := packet.Port{Proto: want.proto, Number: number}
		all := Sockets("/proc/net")
		i := slices.IndexFunc(all, func(s Socket) bool { return s.Port == port && s.State == want.state })
		if i < 0 || !held[all[i].Inode] {
			t.Errorf("%s is not found, or not ours", port)
		}
	}
}

func TestLinesThatAreNone(t *testing.T) {
	for _, line := range []string{
		"", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
		"0: 0100007F 00000000:0000 0A 0 0 0 0 0 1", "0: 0100007F:XYZ 00000000:0000 0A 0 0 0 0 0 1",
	} {
		if s, ok := parse(line, packet.TCP); ok {
			t.Errorf("%q is %+v", line, s)
		}
	}
}
