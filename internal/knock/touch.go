package knock

import "knockd/internal/packet"

// touchDecoy ends the knocks of a source at the doors of a packet's destination that have a decoy at its port.
func (e *Engine) touchDecoy(p *packet.Packet, k *key, views []view, events []Event) []Event {
	for i := range views {
		destination := views[i].destination
		if !e.fears(k, destination, p.Port) {
			continue
		}
		views[i].source = e.find(k, destination)
		now := e.now(p, views[i:i+1])
		s := views[i].source
		events = e.reap(s, now, events)
		e.endAtDecoy(s, p.Port)
		e.finish(s)
	}
	return events
}

// fears reports whether a source has a knock in flight at a door that has a decoy at a port.
func (e *Engine) fears(k *key, destination uint32, port packet.Port) bool {
	if s := e.sources.find(k, destination); s != 0 {
		for i := e.sources.at(s).first; i != 0; i = e.alignments.at(i).next {
			if e.isDecoy(e.alignments.at(i).door, port) {
				return true
			}
		}
		return false
	}
	if i := e.strangers.find(k, destination); i != 0 {
		for _, door := range e.strangers.all[e.strangers.at(i).signature].doors {
			if e.isDecoy(door, port) {
				return true
			}
		}
	}
	return false
}

func (e *Engine) endAtDecoy(s uint32, port packet.Port) {
	link := &e.sources.at(s).first
	for *link != 0 {
		if a := e.alignments.at(*link); e.isDecoy(a.door, port) {
			e.unlink(link)
		} else {
			link = &a.next
		}
	}
}

func (e *Engine) isDecoy(door uint32, port packet.Port) bool {
	decoys := e.doors[door].Decoys
	return decoys != nil && decoys.Contains(port)
}
