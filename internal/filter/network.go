package filter

import (
	"golang.org/x/net/bpf"

	"knockd/internal/packet"
)

// ipv4 checks protocol, fragment and destination, and goes on with X at the transport header.
func (p *program) ipv4() {
	if len(p.v4) == 0 {
		p.jump(p.refuse)
		return
	}
	transport, found := p.label(), p.label()
	p.emit(bpf.LoadAbsolute{Off: 9, Size: 1})
	p.when(bpf.JumpEqual, uint32(packet.TCP), transport)
	p.branch(bpf.JumpEqual, uint32(packet.UDP), transport, p.refuse)
	p.bind(transport)
	// Only a first fragment has ports.
	p.emit(bpf.LoadAbsolute{Off: 6, Size: 2})
	p.unless(bpf.JumpBitsNotSet, 0x1fff, p.refuse)
	p.destination(p.v4, 16, found)
	p.bind(found)
	p.emit(bpf.LoadMemShift{Off: 0}, bpf.LoadAbsolute{Off: 9, Size: 1})
	p.branch(bpf.JumpEqual, uint32(packet.TCP), p.tcpAt, p.udpAt)
}

// ipv6 checks the destination and walks the extension headers. Classic BPF has no loops: the walk is written out.
func (p *program) ipv6() {
	if len(p.v6) == 0 {
		p.jump(p.refuse)
		return
	}
	found := p.label()
	p.destination(p.v6, 24, found)
	p.bind(found)
	p.emit(bpf.LoadConstant{Dst: bpf.RegX, Val: 40}, bpf.LoadAbsolute{Off: 6, Size: 1})
	for n := range p.extensions {
		p.transportOr()
		p.extension(n == 0)
	}
	p.transportOr()
	// More than are walked: package packet will see.
	if p.extensions == 0 {
		p.when(bpf.JumpEqual, hopByHop, p.accept)
	}
	for _, header := range [...]uint32{routing, fragment, authentication} {
		p.when(bpf.JumpEqual, header, p.accept)
	}
	p.branch(bpf.JumpEqual, destinationOptions, p.accept, p.refuse)
}

// transportOr goes to the transport header if A says that it is next, and on if not.
func (p *program) transportOr() {
	p.when(bpf.JumpEqual, uint32(packet.TCP), p.tcpAt)
	p.when(bpf.JumpEqual, uint32(packet.UDP), p.udpAt)
}
