package advice

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"
)

// legacyEntry is one rule: struct ipt_entry or ip6t_entry with its matches and its target.
type legacyEntry struct {
	t    *legacyTable
	data []byte
	// next is where the next rule begins.
	next int
}

// entry reads the rule at a place. It reports false at the end, and where the bytes make no sense.
func (t *legacyTable) entry(at int) (legacyEntry, bool) {
	if at < 0 || at+t.matches > len(t.entries) {
		return legacyEntry{}, false
	}
	data := t.entries[at:]
	target, size := int(binary.NativeEndian.Uint16(data[t.target:])), int(binary.NativeEndian.Uint16(data[t.target+2:]))
	if target < t.matches || size < target+extensionHeader || size > len(data) {
		return legacyEntry{}, false
	}
	return legacyEntry{t: t, data: data[:size], next: at + size}, true
}

// extensionHeader is the size of struct xt_entry_match and xt_entry_target without their data.
const extensionHeader = 32

func (e legacyEntry) targetBytes() []byte {
	return e.data[binary.NativeEndian.Uint16(e.data[e.t.target:]):]
}
func (e legacyEntry) targetData() []byte { return e.targetBytes()[extensionHeader:] }
func (e legacyEntry) targetName() string { return extensionName(e.targetBytes()) }

func extensionName(b []byte) string {
	name, _, _ := bytes.Cut(b[2:31], []byte{0})
	return string(name)
}

// matches tells whether a rule matches.
func (e legacyEntry) matches(p *probe) answer {
	a := both(e.addresses(p), both(e.interfaces(p), e.protocol(p)))
	for at, end := e.t.matches, int(binary.NativeEndian.Uint16(e.data[e.t.target:])); at+extensionHeader <= end; {
		m := e.data[at:end]
		size := int(binary.NativeEndian.Uint16(m))
		if size < extensionHeader || size > len(m) {
			return min(a, maybe)
		}
		a = both(a, e.extension(p, m[:size]))
		at += size
	}
	return a
}

func (e legacyEntry) extension(p *probe, m []byte) answer {
	name := extensionName(m)
	info, err := xt.Unmarshal(name, xt.TableFamily(e.t.family), uint32(m[31]), m[extensionHeader:])
	if err != nil {
		return maybe
	}
	return p.extension(name, info)
}

// The bits of invflags in ip_tables.h, the same in ip6_tables.h.
const (
	notIIF    = 0x01
	notOIF    = 0x02
	notSource = 0x08
	notTarget = 0x10
	notProto  = 0x40
)

func (e legacyEntry) not(flag byte) bool { return e.data[e.t.inverse]&flag != 0 }

// addresses compares source and destination, each with a mask: source, destination, their masks.
func (e legacyEntry) addresses(p *probe) answer {
	n := e.t.address
	source, target := e.data[:n], e.data[n:2*n]
	sourceMask, targetMask := e.data[2*n:3*n], e.data[3*n:4*n]
	a := yes
	if ones(sourceMask) > 0 {
		a = sure(covers(p.source(), source, sourceMask) != e.not(notSource))
		if wide(source, ones(sourceMask)) {
			a = maybe
		}
	}
	switch {
	case ones(targetMask) == 0:
		return a
	case !p.to.IsValid():
		return both(a, maybe)
	default:
		return both(a, sure(covers(p.to, target, targetMask) != e.not(notTarget)))
	}
}

func covers(addr netip.Addr, network, mask []byte) bool {
	for i, b := range addr.AsSlice() {
		if b&mask[i] != network[i] {
			return false
		}
	}
	return true
}

// interfaces compares the incoming interface; the outgoing one is not known.
func (e legacyEntry) interfaces(p *probe) answer {
	a := yes
	if n := ones(e.data[e.t.iifMask:e.t.iifMask+unix.IFNAMSIZ]) / 8; n > 0 {
		a = p.comesBy(e.data[e.t.iif:e.t.iif+min(n, unix.IFNAMSIZ)], e.not(notIIF), !e.not(notIIF))
	}
	if ones(e.data[e.t.oifMask:e.t.oifMask+unix.IFNAMSIZ]) > 0 {
		a = both(a, maybe)
	}
	return a
}

// protocol compares the protocol, and leaves out rules for fragments (flag 1 of IPv4).
func (e legacyEntry) protocol(p *probe) answer {
	if e.t.family == ipv4 && e.data[e.t.flags]&1 != 0 {
		return maybe
	}
	proto := binary.NativeEndian.Uint16(e.data[e.t.proto:])
	if proto == 0 {
		return yes
	}
	return sure((proto == uint16(p.proto)) != e.not(notProto))
}
