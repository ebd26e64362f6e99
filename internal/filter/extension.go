package filter

import "golang.org/x/net/bpf"

// IPv6 extension headers (RFC 8200; RFC 4302).
const (
	hopByHop           = 0
	routing            = 43
	fragment           = 44
	authentication     = 51
	destinationOptions = 60
)

// extension moves X over the extension header of the kind A, and A to the kind of the next one.
func (p *program) extension(first bool) {
	options, other, auth, advance := p.label(), p.label(), p.label(), p.label()
	if first {
		p.when(bpf.JumpEqual, hopByHop, options)
	}
	p.when(bpf.JumpEqual, routing, options)
	p.when(bpf.JumpEqual, authentication, auth)
	p.branch(bpf.JumpEqual, destinationOptions, options, other)

	p.bind(other)
	p.unless(bpf.JumpEqual, fragment, p.refuse)
	p.emit(bpf.LoadIndirect{Off: 2, Size: 2})
	p.unless(bpf.JumpBitsNotSet, 0xfff8, p.refuse)
	p.emit(bpf.LoadConstant{Dst: bpf.RegA, Val: 8})
	p.jump(advance)

	p.bind(auth)
	p.length(2, 2)
	p.jump(advance)

	p.bind(options)
	p.length(1, 3)

	p.bind(advance)
	p.emit(
		bpf.StoreScratch{Src: bpf.RegA, N: slotLength},
		bpf.LoadIndirect{Off: 0, Size: 1},
		bpf.StoreScratch{Src: bpf.RegA, N: slotNext},
		bpf.LoadScratch{Dst: bpf.RegA, N: slotLength},
		bpf.ALUOpX{Op: bpf.ALUOpAdd},
		bpf.TAX{},
		bpf.LoadScratch{Dst: bpf.RegA, N: slotNext},
	)
}

// length loads the length of the header at X: (its second byte + add) << shift.
func (p *program) length(add, shift uint32) {
	p.emit(
		bpf.LoadIndirect{Off: 1, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: add},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: shift},
	)
}
