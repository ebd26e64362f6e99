package advice

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables/expr"
)

func compare(v value, e *expr.Cmp, p *probe) answer {
	if v.iif {
		return p.comesBy(e.Data, e.Op == expr.CmpOpNeq, e.Op == expr.CmpOpEq)
	}
	if v.data == nil || len(v.data) != len(e.Data) {
		return maybe
	}
	if v.source && wide(e.Data, v.bits) {
		return maybe
	}
	c := bytes.Compare(v.data, e.Data)
	switch e.Op {
	case expr.CmpOpEq:
		return sure(c == 0)
	case expr.CmpOpNeq:
		return sure(c != 0)
	case expr.CmpOpLt:
		return sure(c < 0)
	case expr.CmpOpLte:
		return sure(c <= 0)
	case expr.CmpOpGt:
		return sure(c > 0)
	case expr.CmpOpGte:
		return sure(c >= 0)
	default:
		return maybe
	}
}

// comesBy compares the incoming interface: a name ends with a NUL byte, else it is the beginning of one; a number has 4
// bytes.
func (p *probe) comesBy(data []byte, unequal, equal bool) answer {
	if !unequal && !equal || !inside(data) {
		return maybe
	}
	return sure(unequal)
}

// inside reports whether an interface is for sure not one on which strangers come: loopback, whose number is always 1, and
// the bridges of container runtimes and hypervisors.
func inside(data []byte) bool {
	if len(data) == 4 && binary.NativeEndian.Uint32(data) == 1 {
		return true
	}
	name, _, whole := strings.Cut(string(data), "\x00")
	if name == "lo" {
		return whole
	}
	return isDockerBridge(name) || slices.ContainsFunc(bridges(), func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

func bridges() []string {
	return []string{"docker", "virbr", "lxcbr", "lxdbr", "podman", "cni", "cbr", "veth"}
}

// isDockerBridge: br- and the 12 digits of a network's number. Routers call theirs br-lan and br-wan.
func isDockerBridge(name string) bool {
	number, ok := strings.CutPrefix(name, "br-")
	return ok && len(number) == 12 && strings.Trim(number, "0123456789abcdef") == ""
}

func within(v value, e *expr.Range) answer {
	if v.data == nil || v.source || len(v.data) != len(e.FromData) || len(e.FromData) != len(e.ToData) {
		return maybe
	}
	in := bytes.Compare(v.data, e.FromData) >= 0 && bytes.Compare(v.data, e.ToData) <= 0
	return sure(in == (e.Op == expr.CmpOpEq))
}

// ones counts the bits of a mask.
func ones(mask []byte) int {
	n := 0
	for _, b := range mask {
		n += bits.OnesCount8(b)
	}
	return n
}

// wide reports whether a network is so large a part of the Internet that a knocker may well be in it: shorter than /16, and
// /20 for IPv6. What is private, or can't be a source, is not.
func wide(network []byte, length int) bool {
	addr, ok := netip.AddrFromSlice(pad(network))
	if !ok || addr.IsPrivate() || addr.IsMulticast() || addr.IsLoopback() || addr.IsLinkLocalUnicast() {
		return false
	}
	if addr.Is4() {
		first := addr.As4()[0]
		return length < 16 && first != 0 && first < 224 && !carrier.Contains(addr)
	}
	return length < 20 && addr.As16()[0]&0xe0 == 0x20
}

// carrier is the network of carrier NAT (RFC 6598).
var carrier = netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10)

// pad fills up a prefix that was loaded by whole bytes.
func pad(network []byte) []byte {
	size := 16
	if len(network) <= 4 {
		size = 4
	}
	return append(slices.Clone(network), make([]byte, max(0, size-len(network)))...)
}
