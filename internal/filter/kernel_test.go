package filter

import (
	"errors"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// socket is a pair of Unix datagram sockets, the second of which has a filter: the kernel runs it on what is sent, no
// network and no privilege needed.
type socket struct{ send, receive int }

func newSocket(t *testing.T) socket {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	})
	return socket{fds[0], fds[1]}
}

// attach returns the kernel's answer to a program. ENOMEM means net.core.optmem_max.
func (s socket) attach(t *testing.T, prog []bpf.Instruction) error {
	t.Helper()
	raw, err := bpf.Assemble(prog)
	if err != nil {
		t.Fatal(err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return unix.SetsockoptSockFprog(s.receive, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}

// accepts sends b and reports whether it arrived.
func (s socket) accepts(t *testing.T, b []byte) bool {
	t.Helper()
	if _, err := unix.Write(s.send, b); err != nil {
		t.Fatal(err)
	}
	n, err := unix.Read(s.receive, make([]byte, 4096))
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
	if err == nil && n != min(len(b), SnapLen) {
		t.Fatalf("%d bytes of %d arrived", n, len(b))
	}
	return err == nil
}

// The kernel and x/net/bpf's machine agree on every program and packet.
func TestKernelRunsTheProgram(t *testing.T) {
	for seed := range uint64(100) {
		m := newMaker(seed)
		s := m.spec()
		vm, sock := newMachine(t, s, 1000), newSocket(t)
		prog, _ := classic(s, 1000, bare)
		if err := sock.attach(t, prog); err != nil {
			t.Fatalf("seed %d, %d instructions: %v", seed, len(prog), err)
		}
		for range 30 {
			b := packettest.Build(m.packet(s), m.options(packet.MaxExtensions))
			if got, want := sock.accepts(t, b), vm.accepts(t, b); got != want {
				t.Fatalf("seed %d: the kernel says %v, the machine %v", seed, got, want)
			}
		}
	}
}

// The whole program, with the part for frames, passes the kernel's checker, at its limit too.
func TestKernelTakesTheProgram(t *testing.T) {
	for name, s := range map[string]Spec{
		"small": {Own: addrs("192.0.2.1"), Rules: []Rule{{Ports: []packet.Port{tcp(7000)}}}},
		"vlan":  {Own: addrs("192.0.2.1"), Rules: []Rule{{Ports: []packet.Port{tcp(7000)}}}, NoVLAN: true},
		"many":  manyDoors(20000),
	} {
		t.Run(name, func(t *testing.T) {
			sock := newSocket(t)
			err := unix.ENOMEM
			for limit := MaxInstructions; errors.Is(err, unix.ENOMEM) && limit > 1; limit /= 2 {
				prog, _ := Classic(s, limit)
				if e := sock.attach(t, prog); e == nil {
					return
				} else if !errors.As(e, &err) || err != unix.ENOMEM {
					t.Fatalf("%d instructions: %v", len(prog), e)
				}
			}
			t.Errorf("refused: %v", err)
		})
	}
}
