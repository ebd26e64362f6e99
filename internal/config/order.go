package config

import (
	"fmt"
	"slices"

	"knockd/internal/packet"
)

// checkOrder warns of a sequence that a port sweep hits by itself. Decoys stop sweeps, but for a sequence of one port.
func (p *parser) checkOrder() {
	d := p.door
	line := p.lineOf("Sequence")
	switch order := sweptIn(d.Sequence); {
	case len(d.Sequence) == 1 && (d.Decoys == 0 || d.Native()):
		p.report(line, false, fmt.Sprintf("door %s opens to one packet: every port scan opens it", d.Name), "use at least three ports, not in order")
	case order != "" && d.Decoys == 0:
		p.report(line, false, fmt.Sprintf("door %s has its ports in %s order: every port sweep that way opens it", d.Name, order), "change their order, or add Decoys = 4096")
	}
}

// sweptIn returns "ascending" or "descending" for two ports or more of one protocol in that order, else "".
func sweptIn(sequence []packet.Port) string {
	if len(sequence) < 2 {
		return ""
	}
	step := func(a, b packet.Port) int { return int(b.Number) - int(a.Number) }
	first := step(sequence[0], sequence[1])
	for i := 1; i < len(sequence); i++ {
		n := step(sequence[i-1], sequence[i])
		if sequence[i].Proto != sequence[0].Proto || n == 0 || n > 0 != (first > 0) {
			return ""
		}
	}
	if first > 0 {
		return "ascending"
	}
	return "descending"
}

// SweepOdds returns n where one sweep over all ports in random order opens the door 1 time in n: the factorial of the
// length, held at 1<<62. It is 0 where a sweep does not: with decoys, with a port or protocol that comes twice or
// changes, with one-time sequences (which are not known here), and for a door that never opens.
func (d *Door) SweepOdds() uint64 {
	if d.Disabled != "" || d.Decoys > 0 && len(d.Sequence) > 1 || len(d.Sequence) == 0 {
		return 0
	}
	odds := uint64(1)
	for i, port := range d.Sequence {
		if port.Proto != d.Sequence[0].Proto || slices.Contains(d.Sequence[:i], port) {
			return 0
		}
		odds = min(odds*uint64(i+1), 1<<62)
		if i >= 20 {
			odds = 1 << 62 // 21! does not fit into 64 bits
		}
	}
	return odds
}
