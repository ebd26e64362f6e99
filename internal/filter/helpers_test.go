package filter

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"golang.org/x/net/bpf"

	"knockd/internal/decoy"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

func tcp(n uint16) packet.Port { return packet.Port{Proto: packet.TCP, Number: n} }
func udp(n uint16) packet.Port { return packet.Port{Proto: packet.UDP, Number: n} }

func addrs(list ...string) (a []netip.Addr) {
	for _, s := range list {
		a = append(a, netip.MustParseAddr(s))
	}
	return a
}

// bare begins a program without a frame around the packet: x/net/bpf's virtual machine has no extensions.
func bare(c *code, v4, v6, refuse label) {
	six := c.label()
	c.version(4, v4, six)
	c.bind(six)
	c.version(6, v6, refuse)
}

// machine runs the program of s without its first part.
type machine struct {
	*bpf.VM
	exact bool
	size  int
}

func newMachine(t testing.TB, s Spec, limit int) machine {
	t.Helper()
	prog, exact := classic(s, limit, bare)
	if len(prog) > max(limit, 1) {
		t.Fatalf("%d instructions, the limit is %d", len(prog), limit)
	}
	vm, err := bpf.NewVM(prog)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bpf.Assemble(prog); err != nil {
		t.Fatal(err)
	}
	return machine{vm, exact, len(prog)}
}

func (m machine) accepts(t testing.TB, b []byte) bool {
	t.Helper()
	n, err := m.Run(b)
	if err != nil || n != 0 && n != SnapLen {
		t.Fatalf("the program returned %d, %v", n, err)
	}
	return n == SnapLen
}

// maker makes random specs, and packets that are near to them.
type maker struct{ *rand.Rand }

func newMaker(seed uint64) maker { return maker{rand.New(rand.NewPCG(seed, 1))} }

// pick returns one of list.
func pick[T any](m maker, list ...T) T { return list[m.IntN(len(list))] }

func (m maker) addr() netip.Addr {
	// Few values a byte, so that addresses share parts; edges of words among them.
	b := make([]byte, pick(m, 4, 16))
	for i := range b {
		b[i] = pick[byte](m, 0, 1, 0xff)
	}
	b[0] = pick[byte](m, 10, 0x20, 0xfe)
	a, _ := netip.AddrFromSlice(b)
	return a
}

func (m maker) port() packet.Port {
	n := pick(m, uint16(m.Uint32()), uint16(7000+m.IntN(50)), 0, 1, 1023, 1024, 65535)
	return packet.Port{Proto: pick(m, packet.TCP, packet.UDP), Number: n}
}

func (m maker) ports(most int) (list []packet.Port) {
	for range m.IntN(most + 1) {
		list = append(list, m.port())
	}
	return list
}

func (m maker) match() packet.FlagMatch {
	return pick(m,
		packet.FlagMatch{},
		packet.FlagMatch{Set: packet.SYN},
		packet.FlagMatch{Set: packet.SYN, Clear: packet.ACK | packet.RST},
		packet.FlagMatch{Set: packet.Flags(m.IntN(64)), Clear: packet.Flags(m.IntN(64))})
}

func (m maker) spec() Spec {
	var s Spec
	for range m.IntN(pick(m, 1, 4, 40)) {
		s.Own = append(s.Own, m.addr())
	}
	var sequences []packet.Port
	for range m.IntN(pick(m, 2, 6, 200)) {
		r := Rule{Flags: m.match(), Ports: m.ports(4)}
		if m.IntN(3) == 0 {
			r.Target = m.addr()
		}
		s.Rules = append(s.Rules, r)
		sequences = append(sequences, r.Ports...)
	}
	for range m.IntN(3) {
		key, _ := decoy.NewKey(rand.NewChaCha8([32]byte{byte(m.IntN(2))}))
		n := pick(m, 0, 64, 4096, 30000)
		s.Decoys = append(s.Decoys, decoy.New(key, n, m.ports(20), sequences))
	}
	return s
}

// packet returns a packet that s may or may not admit.
func (m maker) packet(s Spec) packet.Packet {
	p := packet.Packet{Dst: m.addr(), SrcPort: 40000, Port: m.port(), Flags: packet.Flags(m.IntN(64))}
	if d := s.destinations(); len(d) > 0 && m.IntN(8) > 0 {
		p.Dst = d[m.IntN(len(d))]
	}
	if len(s.Rules) > 0 && m.IntN(3) > 0 {
		if r := s.Rules[m.IntN(len(s.Rules))]; len(r.Ports) > 0 {
			p.Port = r.Ports[m.IntN(len(r.Ports))]
			p.Port.Number += pick[uint16](m, 0, 0, 0, 1, 65535)
		}
	}
	if m.IntN(2) == 0 {
		p.Flags = packet.SYN
	}
	if p.Port.Proto == packet.UDP {
		p.Flags = 0
	}
	p.Src = netip.MustParseAddr("198.51.100.4")
	if p.Dst.Is6() {
		p.Src = netip.MustParseAddr("2001:db8::4")
	}
	return p
}

// options returns what may be around a packet's headers, with at most most extension headers.
func (m maker) options(most int) packettest.Options {
	o := packettest.Options{
		IPv4Options: make([]byte, 4*m.IntN(11)),
		TCPOptions:  make([]byte, 4*m.IntN(11)),
		Fragment:    pick[uint16](m, 0, 0x4000, 0x2000),
	}
	for i := range m.IntN(most + 1) {
		e := pick(m, packettest.DestinationOptions(m.IntN(3)), packettest.Routing(0),
			packettest.Fragment(0, true), packettest.Authentication(m.IntN(4)))
		if i == 0 && m.IntN(2) == 0 {
			e = packettest.HopByHop(m.IntN(3))
		}
		o.Extensions = append(o.Extensions, e)
	}
	return o
}
