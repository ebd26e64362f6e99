package filter

import (
	"iter"
	"net/netip"

	"knockd/internal/packet"
)

// widening makes ever wider forms of one Spec.
type widening struct {
	hashes   hashes
	addrs    []netip.Addr
	tcp, udp ranges
}

func newWidening(s Spec) *widening {
	w := &widening{hashes: newHashes(s.Decoys), addrs: s.destinations()}
	w.tcp = newRanges(newTable(s, packet.TCP).segments(w.hashes))
	w.udp = newRanges(newTable(s, packet.UDP).segments(w.hashes))
	return w
}

// exact is the form that says what the Spec says.
func (w *widening) exact() form {
	f := form{hashes: w.hashes, extensions: Extensions, tcp: w.tcp.segments, udp: w.udp.segments}
	f.v4, f.v6 = split(w.addrs, false)
	return f
}

// forms yields the exact form, then wider and wider ones for about limit instructions. What is given up, in this order:
// telling the flags of different doors apart, the gaps between ports from the smallest on, addresses for their networks,
// the destination, the IPv6 extension headers, the ports.
func (w *widening) forms(limit int) iter.Seq[form] {
	return func(yield func(form) bool) {
		for _, r := range w.ladder() {
			for f := range w.rung(r, limit) {
				if !yield(f) {
					return
				}
			}
		}
	}
}

// rung is a form with its destinations; its ports are widened down to fewest runs before the next rung is a better loss.
type rung struct {
	form
	fewest int
}

func (w *widening) ladder() []rung {
	exact := w.exact()
	coarse, open := exact, exact
	coarse.v4, coarse.v6 = split(w.addrs, true)
	if len(exact.v4) > 0 {
		open.v4 = everywhere()
	}
	if len(exact.v6) > 0 {
		open.v6 = everywhere()
	}
	last := open
	last.extensions = 0
	return []rung{{exact, 100}, {coarse, 100}, {open, 10}, {last, 0}}
}

func (w *widening) rung(r rung, limit int) iter.Seq[form] {
	return func(yield func(form) bool) {
		f := r.form
		if !yield(f) {
			return
		}
		runs := w.tcp.runs + w.udp.runs
		// A run takes two instructions or more. Each try has a quarter less of them.
		for most := min(limit/2, runs); most > r.fewest; most = most * 3 / 4 {
			f.tcp = w.tcp.keep(max(1, most*w.tcp.runs/runs))
			f.udp = w.udp.keep(max(1, most*w.udp.runs/runs))
			if !yield(f) {
				return
			}
		}
		if r.fewest == 0 {
			f.tcp, f.udp = w.tcp.whole(), w.udp.whole()
			yield(f)
		}
	}
}
