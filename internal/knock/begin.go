package knock

import (
	"time"

	"knockd/internal/packet"
)

// openAtOnce opens the doors of one port.
func (e *Engine) openAtOnce(p *packet.Packet, v *view) {
	for _, starter := range e.starters(v) {
		if d := &e.doors[starter-1]; len(d.Sequence) == 1 && e.flagged(d.class, p) {
			e.touched = append(e.touched, touched{door: starter - 1, stage: 1, opened: true})
		}
	}
}

// starters are the doors, plus 1, that begin with the port of a view.
func (e *Engine) starters(v *view) []uint32 {
	if v.info == nil {
		return nil
	}
	return v.info.starters(&e.one)
}

// begin starts alignments at the doors whose first port it is, and puts the source back in the table.
func (e *Engine) begin(p *packet.Packet, k *key, v *view, now time.Duration) {
	if e.forward == 0 && e.beginStranger(p, k, v, now) {
		return
	}
	var link *uint32
	moved := e.touched[v.from:v.to]
	for _, starter := range e.starters(v) {
		number := starter - 1
		d := &e.doors[number]
		if len(d.Sequence) < 2 || !e.flagged(d.class, p) {
			continue
		}
		for len(moved) > 0 && moved[0].door < number {
			moved = moved[1:]
		}
		advanced := len(moved) > 0 && moved[0].door == number
		if advanced && moved[0].opened {
			continue // the packet that opens a door begins no knock at it: its alignments are forgotten
		}
		if v.source == 0 {
			e.makeRoom()
			v.source = e.sources.insert(k, v.destination, now)
		}
		if link == nil {
			link = &e.sources.at(v.source).first
		}
		quiet := e.advancedElsewhere(number)
		link = e.beginAt(link, alignment{began: now, source: v.source, door: number, stage: 1, quiet: quiet})
		if !advanced {
			e.touched = append(e.touched, touched{door: number, stage: 1, silent: quiet})
		}
	}
	if v.source != 0 {
		e.finish(v.source)
	}
}

// beginStranger remembers one who has no knock in flight, any more or yet, by this packet, if that is all there is to
// remember.
func (e *Engine) beginStranger(p *packet.Packet, k *key, v *view, now time.Duration) bool {
	if v.source != 0 && (e.sources.at(v.source).first != 0 || len(e.inherited) > 0) {
		return false
	}
	signature := e.signature(v, p)
	if signature == 0 || !e.strangers.accepts(signature, now) {
		return false
	}
	if v.source != 0 {
		e.sources.drop(v.source)
	}
	e.admitStranger(k, now, signature)
	for _, number := range e.strangers.all[signature].doors {
		e.touched = append(e.touched, touched{door: number, stage: 1})
	}
	return true
}

// advancedElsewhere reports whether the packet advanced or opened another door than this.
func (e *Engine) advancedElsewhere(number uint32) bool {
	return e.forward > 1 || e.forward == 1 && e.touched[0].door != number
}

// beginAt enters an alignment at stage 1; one that is there at that stage began earlier, and gives way. Doors are met in
// order: the search begins at link, and the link to what was entered is returned for the next.
func (e *Engine) beginAt(link *uint32, a alignment) *uint32 {
	for *link != 0 && e.alignments.at(*link).door < a.door {
		link = &e.alignments.at(*link).next
	}
	if *link == 0 || e.alignments.at(*link).door != a.door {
		a.died = e.inherit(a.door)
		e.makeAlignmentRoom()
		e.enter(link, a)
		return link
	}
	other := e.alignments.at(*link)
	a.died = other.died
	if other.stage == 1 {
		e.unlink(link)
	}
	e.makeAlignmentRoom()
	e.enter(link, a)
	return link
}

func (e *Engine) inherit(door uint32) uint8 {
	for _, i := range e.inherited {
		if i.door == door {
			return i.died
		}
	}
	return 0
}
