package filter

import "golang.org/x/net/bpf"

const (
	// SnapLen is how many bytes of a packet are copied, from the IP header on: the longest IPv4 and TCP headers
	// take 120, the usual IPv6 extension headers fit as well.
	SnapLen = 256
	// MaxInstructions is the kernel's limit of a classic program (BPF_MAXINSNS, linux/bpf_common.h).
	MaxInstructions = 4096
	// Extensions is how many IPv6 extension headers an exact program walks. A packet with more is let through,
	// whatever its ports.
	Extensions = 3
)

// Classic compiles s to a program for an AF_PACKET socket of the type SOCK_DGRAM, whose packets begin at the IP header.
// A program that would have more than limit instructions (MaxInstructions; less where the kernel answers ENOMEM, for
// want of net.core.optmem_max) is widened until it fits: exact is false then. If not even the narrowest part fits, the
// program is one instruction that accepts everything, frames with a VLAN id included.
//
// A program never refuses a packet that s.Admits; an exact one accepts no other well-formed packet with at most
// Extensions IPv6 extension headers. It takes time in proportion to s, but for sorting.
func Classic(s Spec, limit int) (prog []bpf.Instruction, exact bool) {
	return classic(s, limit, frameEntry(s.NoVLAN))
}

func classic(s Spec, limit int, begin entry) (prog []bpf.Instruction, exact bool) {
	exact = true
	for f := range newWidening(s).forms(limit) {
		if prog := f.fit(limit, begin); prog != nil {
			return prog, exact
		}
		exact = false
	}
	return []bpf.Instruction{bpf.RetConstant{Val: SnapLen}}, false
}

// fit compiles the form, and returns nil if it has more than limit instructions. A tree has at least one for every other
// range of ports, so what is far too large is not compiled at all.
func (f form) fit(limit int, begin entry) []bpf.Instruction {
	if (len(f.tcp)+len(f.udp))/2 > limit {
		return nil
	}
	if prog := f.compile(begin); len(prog) <= limit {
		return prog
	}
	return nil
}
