package filter

import (
	"testing"

	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// checkProgram holds the program of a random spec against Admits, for packets near to the spec.
func checkProgram(t *testing.T, seed uint64, limit, packets int) {
	t.Helper()
	m := newMaker(seed)
	s := m.spec()
	vm := newMachine(t, s, limit)
	for range packets {
		want := m.packet(s)
		o := m.options(packet.MaxExtensions)
		b := packettest.Build(want, o)
		var p packet.Packet
		if err := packet.Parse(b, &p); err != nil || p != want {
			t.Fatalf("seed %d: Parse = %+v, %v; want %+v", seed, p, err, want)
		}
		admits, accepts := s.Admits(&p), vm.accepts(t, b)
		if admits && !accepts {
			t.Fatalf("seed %d, limit %d: refused %+v, %+v", seed, limit, p, o)
		}
		if accepts && !admits && vm.exact && len(o.Extensions) <= Extensions {
			t.Fatalf("seed %d: accepted %+v, %+v", seed, p, o)
		}
	}
}

func TestClassicIsExact(t *testing.T) {
	for seed := range uint64(150) {
		checkProgram(t, seed, MaxInstructions, 200)
	}
}

func TestClassicIsNeverNarrower(t *testing.T) {
	for _, limit := range []int{0, 1, 10, 20, 30, 40, 60, 80, 100, 150, 200, 300, 500, 1000} {
		for seed := range uint64(20) {
			checkProgram(t, seed, limit, 100)
		}
	}
}

func FuzzClassic(f *testing.F) {
	f.Add(uint64(1), 4096)
	f.Add(uint64(2), 100)
	f.Fuzz(func(t *testing.T, seed uint64, limit int) {
		checkProgram(t, seed, min(max(limit, 0), MaxInstructions), 200)
	})
}

// Every port of both protocols, with all decoys and exclusions, is as Admits says.
func TestClassicEveryPort(t *testing.T) {
	m := newMaker(7)
	s := m.spec()
	for len(s.Decoys) == 0 || len(s.Own) == 0 || len(s.Rules) < 10 {
		s = m.spec()
	}
	vm := newMachine(t, s, MaxInstructions)
	if !vm.exact {
		t.Fatalf("%d instructions, not exact", vm.size)
	}
	p := packet.Packet{Src: s.Own[0], Dst: s.Own[0]}
	table := Compile(s)
	for _, proto := range []packet.Proto{packet.TCP, packet.UDP} {
		p.Port.Proto, p.Flags = proto, 0
		if proto == packet.TCP {
			p.Flags = packet.SYN
		}
		for n := range 1 << 16 {
			p.Port.Number = uint16(n)
			accepts := vm.accepts(t, packettest.Build(p, packettest.Options{}))
			if want := s.Admits(&p); accepts != want || table.admits(&p) != want {
				t.Fatalf("%v: program %v, table %v, want %v", p.Port, accepts, table.admits(&p), want)
			}
		}
	}
}

// What package packet would refuse anyway need not leave the kernel.
func TestClassicRefuses(t *testing.T) {
	own := addrs("192.0.2.1", "2001:db8::1")
	s := Spec{Own: own, Rules: []Rule{{Ports: []packet.Port{tcp(7000), udp(7000)}}}}
	vm := newMachine(t, s, MaxInstructions)
	p4 := packet.Packet{Src: own[0], Dst: own[0], Port: tcp(7000)}
	p6 := packet.Packet{Src: own[1], Dst: own[1], Port: tcp(7000)}
	udp4 := p4
	udp4.Port = udp(7000)
	icmp := p4
	icmp.Port.Proto = 1
	build := packettest.Build
	type options = packettest.Options
	type chain = []packettest.Extension
	for name, b := range map[string][]byte{
		"empty":                  {},
		"version 5":              append([]byte{0x50}, make([]byte, 59)...),
		"later fragment":         build(p4, options{Fragment: 1}),
		"later ipv6 fragment":    build(p6, options{Extensions: chain{packettest.Fragment(1, true)}}),
		"cut ipv4 header":        build(p4, options{})[:19],
		"cut tcp header":         build(p4, options{})[:33],
		"cut udp header":         build(udp4, options{})[:27],
		"icmp":                   build(icmp, options{Payload: make([]byte, 40)}),
		"late hop-by-hop":        build(p6, options{Extensions: chain{packettest.Routing(0), packettest.HopByHop(0)}}),
		"extension past the end": build(p6, options{Extensions: chain{{Header: 60, Body: []byte{200, 0, 0, 0, 0, 0, 0}}}}),
	} {
		if vm.accepts(t, b) {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Nothing to listen to is nothing let through.
func TestClassicEmpty(t *testing.T) {
	for name, s := range map[string]Spec{
		"nothing":  {},
		"no rules": {Own: addrs("192.0.2.1", "2001:db8::1")},
		"no own":   {Rules: []Rule{{Ports: []packet.Port{tcp(1)}}}},
	} {
		vm := newMachine(t, s, MaxInstructions)
		for _, a := range addrs("192.0.2.1", "2001:db8::1") {
			if vm.accepts(t, packettest.Build(packet.Packet{Src: a, Dst: a, Port: tcp(1)}, packettest.Options{})) {
				t.Errorf("%s: accepted", name)
			}
		}
	}
}
