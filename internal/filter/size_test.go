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

// manyDoors is n doors of three random ports each, with decoys.
func manyDoors(n int) Spec {
	r := rand.New(rand.NewPCG(1, 2))
	s := Spec{Own: addrs("192.0.2.1", "2001:db8::1", "fe80::1")}
	var sequences []packet.Port
	for range n {
		var rule Rule
		for range 3 {
			rule.Ports = append(rule.Ports, tcp(uint16(1024+r.IntN(64512))))
		}
		s.Rules = append(s.Rules, rule)
		sequences = append(sequences, rule.Ports...)
	}
	key, _ := decoy.NewKey(rand.NewChaCha8([32]byte{1}))
	s.Decoys = []*decoy.Set{decoy.New(key, 4096, nil, sequences)}
	return s
}

// How many doors fit into an exact program, and what is left of one that doesn't fit.
func TestClassicSize(t *testing.T) {
	other := packet.Packet{Src: addrs("192.0.2.7")[0], Dst: addrs("192.0.2.8")[0], Port: tcp(7000), Flags: packet.SYN}
	privileged := other
	privileged.Dst, privileged.Port = addrs("192.0.2.1")[0], tcp(443)
	for _, test := range []struct {
		doors, limit    int
		exact           bool
		otherHost, port bool // still refused
	}{
		{1, 200, true, true, true},
		{100, MaxInstructions, true, true, true},
		{250, MaxInstructions, true, true, true},
		{5000, MaxInstructions, false, true, true},
		{20000, MaxInstructions, false, true, true},
		{20000, 1024, false, true, true},
		{20000, 128, false, false, true},
		{20000, 40, false, false, false},
	} {
		vm := newMachine(t, manyDoors(test.doors), test.limit)
		t.Logf("%d doors, limit %d: %d instructions", test.doors, test.limit, vm.size)
		if vm.exact != test.exact {
			t.Errorf("%d doors, limit %d: exact = %v", test.doors, test.limit, vm.exact)
		}
		if test.otherHost && vm.accepts(t, packettest.Build(other, packettest.Options{})) {
			t.Errorf("%d doors, limit %d: lets other hosts' packets through", test.doors, test.limit)
		}
		if test.port && vm.accepts(t, packettest.Build(privileged, packettest.Options{})) {
			t.Errorf("%d doors, limit %d: lets port 443 through", test.doors, test.limit)
		}
	}
}

// A host with many addresses keeps its ports.
func TestClassicManyAddresses(t *testing.T) {
	s := Spec{Rules: []Rule{{Ports: []packet.Port{tcp(7000)}}}}
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		s.Own = append(s.Own, netip.AddrFrom4([4]byte{10, byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}))
	}
	vm := newMachine(t, s, MaxInstructions)
	p := packet.Packet{Src: s.Own[0], Dst: s.Own[4999], Port: tcp(7001)}
	if vm.exact || vm.accepts(t, packettest.Build(p, packettest.Options{})) {
		t.Errorf("exact = %v, or another port is let through", vm.exact)
	}
	p.Port = tcp(7000)
	if !vm.accepts(t, packettest.Build(p, packettest.Options{})) {
		t.Error("a door's port is refused")
	}
}

// The part for frames, which the virtual machine can't run: what it demands before the packet is looked at.
func TestFrameEntry(t *testing.T) {
	var c code
	v4, v6, refuse := c.label(), c.label(), c.label()
	frameEntry(true)(&c, v4, v6, refuse)
	for n, l := range []label{v4, v6, refuse} {
		c.bind(l)
		c.emit(bpf.RetConstant{Val: uint32(n)})
	}
	want := []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtVLANTagPresent},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 2},
		bpf.LoadExtension{Num: bpf.ExtVLANTag},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x0fff, SkipTrue: 11},
		bpf.LoadExtension{Num: bpf.ExtProto},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x0800, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x86dd, SkipTrue: 3, SkipFalse: 8},
		bpf.LoadAbsolute{Off: 0, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 4, SkipTrue: 3, SkipFalse: 5},
		bpf.LoadAbsolute{Off: 0, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 6, SkipTrue: 1, SkipFalse: 2},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: 1},
		bpf.RetConstant{Val: 2},
	}
	got := c.assemble()
	if len(got) != len(want) {
		t.Fatalf("%d instructions, want %d: %v", len(got), len(want), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%d: %v, want %v", i, got[i], want[i])
		}
	}
}

func BenchmarkClassic(b *testing.B) {
	for name, n := range map[string]int{"3 doors": 3, "250 doors": 250, "20000 doors": 20000} {
		s := manyDoors(n)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Classic(s, MaxInstructions)
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for name, n := range map[string]int{"3 doors": 3, "20000 doors": 20000} {
		s := manyDoors(n)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Compile(s)
			}
		})
	}
}

func BenchmarkDiff(b *testing.B) {
	old, next := Compile(manyDoors(20000)), Compile(manyDoors(19999))
	for b.Loop() {
		old.Diff(next)
	}
}
