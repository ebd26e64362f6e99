package knock

import (
	"slices"
	"unsafe"

	"knockd/internal/packet"
)

// signature is what a packet to one port begins: an alignment at each of its doors. Strangers who have sent such a packet,
// and none besides, need to remember no more.
type signature struct {
	// doors begin with the port, in order; classes are theirs, once each. All have the same destination and timeout.
	doors, classes       []uint32
	destination, timeout uint32
	// strangers is how many have it.
	strangers int
	// known: the index leads to it, and new strangers may get it.
	known bool
}

// noSignature: the doors that begin with a port differ in their timeouts, or in timeouts too rare for a list.
const noSignature = ^uint32(0)

// signatures is all of them; the first is none.
type signatures struct {
	all  []signature
	free []uint32
}

func (t *signatures) add(s signature) uint32 {
	if last := len(t.free) - 1; last >= 0 {
		i := t.free[last]
		t.free = t.free[:last]
		t.all[i] = s
		return i
	}
	if len(t.all) == 0 {
		t.all = append(t.all, signature{})
	}
	t.all = append(t.all, s)
	return uint32(len(t.all) - 1)
}

// release forgets a signature that nobody has or can get any more.
func (t *signatures) release(i uint32) {
	if s := &t.all[i]; !s.known && s.strangers == 0 {
		*s = signature{}
		t.free = append(t.free, i)
	}
}

// forget ends the strangers' alignments at a door.
func (t *signatures) forget(door uint32) {
	for i := range t.all {
		s := &t.all[i]
		if at, ok := slices.BinarySearch(s.doors, door); ok {
			s.doors = slices.Delete(slices.Clone(s.doors), at, at+1)
		}
	}
}

func (t *signatures) bytes() int {
	return cap(t.all) * int(unsafe.Sizeof(signature{}))
}

// signature returns what a stranger's packet to a port begins, 0 if that is not one signature.
func (e *Engine) signature(v *view, p *packet.Packet) uint32 {
	info := v.info
	if info == nil {
		return 0
	}
	if info.signature == 0 {
		info.signature = e.makeSignature(info, v.destination)
	}
	if info.signature == noSignature {
		return 0
	}
	for _, c := range e.strangers.all[info.signature].classes {
		if !e.flagged(c, p) {
			return 0
		}
	}
	return info.signature
}

// makeSignature is called once for each port that a sequence begins with.
func (e *Engine) makeSignature(info *portInfo, destination uint32) uint32 {
	var one [1]uint32
	s := signature{destination: destination, known: true}
	for i, starter := range info.starters(&one) {
		d := &e.doors[starter-1]
		if i == 0 {
			s.timeout = d.timeout
		}
		if len(d.Sequence) < 2 || d.timeout != s.timeout || d.timeout == mostLists {
			return noSignature
		}
		s.doors = append(s.doors, starter-1)
		if !slices.Contains(s.classes, d.class) {
			s.classes = append(s.classes, d.class)
		}
	}
	if len(s.doors) == 0 {
		return noSignature
	}
	return e.strangers.signatures.add(s)
}

// unknow makes a port's signature unknown, for other doors begin with it from now on.
func (e *Engine) unknow(info *portInfo) {
	if info == nil {
		return
	}
	if i := info.signature; i != 0 && i != noSignature {
		e.strangers.all[i].known = false
		e.strangers.release(i)
	}
	info.signature = 0
}
