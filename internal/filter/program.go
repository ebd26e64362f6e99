package filter

import "golang.org/x/net/bpf"

// Scratch memory of the program.
const (
	slotLength = iota // of an extension header
	slotNext          // protocol after it
	slotFlags         // of the TCP header
	slotPort          // destination port
)

// form is one of the ways to compile a Spec, exact or widened.
type form struct {
	// tcp and udp have the verdicts on all ports.
	tcp, udp []segment
	hashes   hashes
	v4, v6   destinations
	// extensions is how many IPv6 extension headers are walked; a packet with more is let through.
	extensions int
}

// program writes a form as code.
type program struct {
	code
	form
	accept, refuse label
	tcpAt, udpAt   label
}

// entry writes the first part of a program, which goes to v4, v6 or refuse.
type entry func(c *code, v4, v6, refuse label)

// compile writes the program: entry, network headers, transport headers, returns.
func (f form) compile(begin entry) []bpf.Instruction {
	p := &program{form: f}
	p.accept, p.refuse = p.label(), p.label()
	p.tcpAt, p.udpAt = p.label(), p.label()
	v4, v6 := p.label(), p.label()
	begin(&p.code, v4, v6, p.refuse)
	p.bind(v4)
	p.ipv4()
	p.bind(v6)
	p.ipv6()
	p.bind(p.tcpAt)
	p.ports(p.tcp, p.loadTCP)
	p.bind(p.udpAt)
	p.ports(p.udp, p.loadUDP)
	p.bind(p.accept)
	p.emit(bpf.RetConstant{Val: SnapLen})
	p.bind(p.refuse)
	p.emit(bpf.RetConstant{Val: 0})
	return p.assemble()
}
