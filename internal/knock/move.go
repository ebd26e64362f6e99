package knock

import "knockd/internal/packet"

// move shows a packet to the alignments of a source, door by door.
func (e *Engine) move(p *packet.Packet, s uint32) {
	link := &e.sources.at(s).first
	for *link != 0 {
		number := e.alignments.at(*link).door
		if d := &e.doors[number]; e.flagged(d.class, p) {
			link = e.moveAt(p, link, number, d)
		} else {
			link = e.afterDoor(link, number)
		}
	}
}

// moveAt advances or ends the alignments at one door. It returns the link behind them.
func (e *Engine) moveAt(p *packet.Packet, first *uint32, number uint32, d *door) *uint32 {
	link, kept, reached, died := first, uint8(0), uint8(0), uint8(0)
	for *link != 0 && e.alignments.at(*link).door == number {
		a := e.alignments.at(*link)
		died = a.died
		switch p.Port {
		case d.Sequence[a.stage]:
			a.stage++
			reached = max(reached, a.stage)
		case d.Sequence[a.stage-1]: // a repeat
		default:
			e.unlink(link)
			continue
		}
		// Of two at one stage the one that began later stays: it was behind, and stands in front.
		if a.stage == kept {
			e.unlink(link)
			continue
		}
		kept = a.stage
		link = &a.next
	}
	if opened := int(reached) == len(d.Sequence); opened {
		e.unlinkDoor(first, number)
		link, died = first, 0
	}
	if reached > 0 {
		e.touched = append(e.touched, touched{door: number, stage: reached, opened: int(reached) == len(d.Sequence)})
	}
	if link == first && died > 0 {
		e.inherited = append(e.inherited, inherited{number, died})
	}
	return link
}

func (e *Engine) unlinkDoor(link *uint32, number uint32) {
	for *link != 0 && e.alignments.at(*link).door == number {
		e.unlink(link)
	}
}
