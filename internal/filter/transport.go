package filter

import (
	"golang.org/x/net/bpf"

	"knockd/internal/decoy"
	"knockd/internal/packet"
)

// ports finds the verdict on the destination port, with X at the transport header.
func (p *program) ports(segments []segment, load func(flags uint64)) {
	all := union(segments)
	if all == 0 {
		p.jump(p.refuse)
		return
	}
	load(all)
	spans := make([]span, 0, len(segments))
	at := map[verdict]label{{}: p.refuse, {flags: all}: p.accept}
	var blocks []verdict
	for _, s := range segments {
		to, ok := at[s.verdict]
		if !ok {
			to = p.label()
			at[s.verdict] = to
			blocks = append(blocks, s.verdict)
		}
		spans = appendSpan(spans, span{s.from, to})
	}
	p.tree(spans)
	for _, v := range blocks {
		p.bind(at[v])
		p.judge(v, all)
	}
}

// loadTCP leaves the port in A. Most packets of a host fail the flags of all doors: they don't get farther.
func (p *program) loadTCP(flags uint64) {
	p.emit(
		bpf.LoadIndirect{Off: 2, Size: 2},
		bpf.StoreScratch{Src: bpf.RegA, N: slotPort},
		bpf.LoadIndirect{Off: 13, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0x3f},
		bpf.StoreScratch{Src: bpf.RegA, N: slotFlags},
	)
	if flags != everyFlags {
		admitted := p.label()
		p.testFlags(flags, admitted)
		p.bind(admitted)
	}
	p.emit(bpf.LoadScratch{Dst: bpf.RegA, N: slotPort})
}

// loadUDP leaves the port in A. The last byte of the header is touched so that a packet without it is refused.
func (p *program) loadUDP(uint64) {
	p.emit(
		bpf.LoadIndirect{Off: 7, Size: 1},
		bpf.LoadIndirect{Off: 2, Size: 2},
		bpf.StoreScratch{Src: bpf.RegA, N: slotPort},
	)
}

// judge carries out a verdict on a packet whose flags are among all.
func (p *program) judge(v verdict, all uint64) {
	yes := p.accept
	if v.hash {
		yes = p.label()
	}
	if v.flags != all {
		p.emit(bpf.LoadScratch{Dst: bpf.RegA, N: slotFlags})
		p.testFlags(v.flags, yes)
	}
	if v.hash {
		p.bind(yes)
		p.testHash()
	}
}

// testFlags goes to yes if the flags in A are in the set, else to refuse. X is lost.
func (p *program) testFlags(set uint64, yes label) {
	if m, ok := match(set); ok {
		p.emit(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: uint32(m.Set | m.Clear)})
		p.branch(bpf.JumpEqual, uint32(m.Set), yes, p.refuse)
		return
	}
	low, high := uint32(set), uint32(set>>32)
	if low == high {
		p.testBit(low, yes)
		return
	}
	urgent := p.label()
	p.when(bpf.JumpBitsSet, uint32(packet.URG), urgent)
	p.testBit(low, yes)
	p.bind(urgent)
	p.testBit(high, yes)
}

// testBit goes to yes if set has the bit of the flags in A, URG left aside.
func (p *program) testBit(set uint32, yes label) {
	p.emit(
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0x1f},
		bpf.TAX{},
		bpf.LoadConstant{Dst: bpf.RegA, Val: set},
		bpf.ALUOpX{Op: bpf.ALUOpShiftRight},
	)
	p.branch(bpf.JumpBitsSet, 1, yes, p.refuse)
}

// testHash accepts the port if one of the hashes says that it is a decoy.
func (p *program) testHash() {
	for _, h := range p.hashes {
		p.emit(bpf.LoadScratch{Dst: bpf.RegA, N: slotPort})
		p.emit(hashCode(h.key)...)
		p.unless(bpf.JumpGreaterOrEqual, h.threshold, p.accept)
	}
	p.jump(p.refuse)
}

// hashCode is decoy.Key.Hash of A.
func hashCode(k decoy.Key) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: k.Multiply},
		bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: k.Add},
		bpf.TAX{},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 16},
		bpf.ALUOpX{Op: bpf.ALUOpXor},
		bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: k.Mix},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 16},
	}
}
