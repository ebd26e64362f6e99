package filter

import (
	"encoding/binary"
	"math"
	"net/netip"

	"golang.org/x/net/bpf"
)

// destinations are prefixes of one family, sorted, as words of 32 bits.
type destinations []prefix

// prefix is the first words of an address; the last of them counts without its low bits.
type prefix struct {
	words [4]uint32
	count int
	// low are the bits of the last word that don't matter: 0 or 2^n - 1.
	low uint32
}

// split returns the addresses by family. Coarse: networks of 24 and 64 bits instead of addresses.
func split(addrs []netip.Addr, coarse bool) (v4, v6 destinations) {
	for _, a := range addrs {
		p := prefix{}
		b := a.AsSlice()
		for p.count = 0; p.count < len(b)/4; p.count++ {
			p.words[p.count] = binary.BigEndian.Uint32(b[4*p.count:])
		}
		if coarse {
			p.widen()
		}
		if a.Is4() {
			v4 = v4.append(p)
		} else {
			v6 = v6.append(p)
		}
	}
	return v4, v6
}

func (p *prefix) widen() {
	if p.count == 1 {
		p.low = 0xff
		p.words[0] &^= p.low
		return
	}
	p.count = 2
	p.words[2], p.words[3] = 0, 0
}

// append adds p unless it is the last one already.
func (d destinations) append(p prefix) destinations {
	if n := len(d); n > 0 && d[n-1] == p {
		return d
	}
	return append(d, p)
}

// everywhere is the prefix of length 0.
func everywhere() destinations { return destinations{{}} }

// destination goes to found if the address at offset is in list, else to refuse.
func (p *program) destination(list destinations, offset uint32, found label) {
	p.word(list, 0, offset, found)
}

// word compares the word number i of the address, and the ones after it. All in list are equal before i.
func (p *program) word(list destinations, i int, offset uint32, found label) {
	if list[0].count == i {
		p.jump(found)
		return
	}
	spans := []span{{0, p.refuse}}
	var roots []label
	groups := list.groups(i)
	for _, g := range groups {
		to := found
		if g[0].count > i+1 {
			to = p.label()
		}
		roots = append(roots, to)
		from := g[0].words[i]
		if from == 0 {
			spans = spans[:0]
		} else if n := len(spans); spans[n-1].from == from {
			spans = spans[:n-1]
		}
		spans = appendSpan(spans, span{from, to})
		if last := from | g[0].low; last != math.MaxUint32 {
			spans = append(spans, span{last + 1, p.refuse})
		}
	}
	p.emit(bpf.LoadAbsolute{Off: offset + uint32(4*i), Size: 4})
	p.tree(spans)
	for n, g := range groups {
		if roots[n] != found {
			p.bind(roots[n])
			p.word(g, i+1, offset, found)
		}
	}
}

// groups cuts list where the word number i changes.
func (d destinations) groups(i int) (groups []destinations) {
	start := 0
	for n := range d {
		if n+1 == len(d) || d[n+1].words[i] != d[n].words[i] {
			groups = append(groups, d[start:n+1])
			start = n + 1
		}
	}
	return groups
}
