package capture

import (
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"knockd/internal/filter"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// BenchmarkProgram measures what the program costs a packet, by the kernel's own count in its test-run facility: the
// nanoseconds it shows are those, not the benchmark's. What the facility itself takes is the cost of an empty program.
func BenchmarkProgram(b *testing.B) {
	b.Run("empty", benchmarkEmpty)
	for _, test := range []struct {
		name      string
		packet    packet.Packet
		threshold int
	}{
		{"no door", stranger(1, tcp(443)), peace},
		{"no door, IPv6", stranger6(1, tcp(443)), peace},
		{"no door, UDP", stranger(1, udp(53)), peace},
		{"neither TCP nor UDP", stranger(1, packet.Port{Proto: 1}), peace},
		{"other destination", knock(own4, stranger(1, tcp(1)).Src, tcp(1)), peace},
		{"held again", stranger(1, tcp(1)), always},
		{"known", stranger(1, tcp(1)), peace},
	} {
		b.Run(test.name, func(b *testing.B) {
			bench := newBench(b, heldSpec(), test.threshold)
			frame := frameOf(test.packet, packettest.Options{Payload: make([]byte, 8)})
			measure(b, bench.objects.Knock, frame, func() { bench.delivered() })
		})
	}
}

// measure shows the median: whatever else the machine does is not the program's.
func measure(b *testing.B, p *ebpf.Program, frame []byte, after func()) {
	var all []time.Duration
	for b.Loop() {
		all = append(all, runs(b, p, frame))
		after()
	}
	b.ReportMetric(median(all), "ns/packet")
}

// runs is what the kernel says that one of many runs took.
func runs(b *testing.B, p *ebpf.Program, frame []byte) time.Duration {
	_, each, err := p.Benchmark(frame, 4000, nil)
	if err != nil {
		b.Fatal(err)
	}
	return each
}

func median(all []time.Duration) float64 {
	slices.Sort(all)
	return float64(all[len(all)/2])
}

// BenchmarkNoDoor measures what the program costs a packet that is in no door. ns/op is the program's own share: what
// the facility shows, total-ns, without what it shows for a program that does nothing, facility-ns. Both are measured in
// turn, and the share is the median of the differences.
func BenchmarkNoDoor(b *testing.B) {
	bench, empty := newBench(b, heldSpec(), peace), emptyProgram(b)
	frame := frameOf(stranger(1, tcp(443)), packettest.Options{})
	var total, facility, own []time.Duration
	for b.Loop() {
		with, without := runs(b, bench.objects.Knock, frame), runs(b, empty, frame)
		total, facility, own = append(total, with), append(facility, without), append(own, with-without)
	}
	b.ReportMetric(median(own), "ns/op")
	b.ReportMetric(median(total), "total-ns")
	b.ReportMetric(median(facility), "facility-ns")
}

// benchmarkEmpty measures a program that does nothing.
func benchmarkEmpty(b *testing.B) {
	measure(b, emptyProgram(b), frameOf(stranger(1, tcp(443)), packettest.Options{}), func() {})
}

func emptyProgram(b *testing.B) *ebpf.Program {
	needEBPF(b)
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SocketFilter, License: "MIT", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	netlabtest.Check(b, err)
	b.Cleanup(func() { _ = p.Close() })
	return p
}

// BenchmarkProgramStrangers measures a flood: every packet is the first of its source.
func BenchmarkProgramStrangers(b *testing.B) {
	bench := newBench(b, heldSpec(), always)
	number := uint32(0)
	options := ebpf.RunOptions{}
	for b.Loop() {
		number++
		options.Data = frameOf(stranger(number, tcp(1)), packettest.Options{})
		if _, err := bench.objects.Knock.Run(&options); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUpdate measures a change of one sequence among 20,000 doors.
func BenchmarkUpdate(b *testing.B) {
	s := heldSpec()
	for n := range uint16(20000) {
		s.Rules = append(s.Rules, filter.Rule{Ports: []packet.Port{tcp(3 * n), udp(3*n + 1), tcp(3*n + 2)}})
	}
	bench := newBench(b, s, peace)
	for n := uint16(0); b.Loop(); n++ {
		s.Rules[0].Ports = []packet.Port{udp(n), udp(n + 1), udp(n + 2)}
		netlabtest.Check(b, bench.tables.update(rules{spec: s, floodThreshold: peace}))
	}
}
