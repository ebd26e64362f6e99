package knock

import (
	"hash/maphash"
	"net/netip"
	"time"
	"unsafe"
)

// stages is one more than the highest stage of an alignment in flight: sequences have at most 32 ports.
const stages = 32

// source is an address with a knock in flight.
type source struct {
	addr [16]byte
	// last is the time of its latest packet: one that says to be older counts as equal to it.
	last time.Duration
	// next is the next source in the same slot of the hash table; before and after are its neighbours in the list of its
	// stage.
	next, before, after uint32
	// first is its first alignment.
	first uint32
	is4   bool
	// stage is the highest of its alignments.
	stage uint8
}

// sources is the table of sources: by address, and per stage from the one that came there first to the last.
type sources struct {
	chunks[source]
	max, count int
	slots      []uint32
	mask       uint64
	seed       maphash.Seed
	lists      [stages]list
}

// list is the sources of one stage, the oldest first.
type list struct {
	first, last uint32
	length      int
}

func (t *sources) init(max int, seed maphash.Seed) {
	size := 1
	for size < max {
		size *= 2
	}
	t.max, t.slots, t.mask, t.seed = max, make([]uint32, size), uint64(size-1), seed
}

// slot is a source's place in the hash table. The seed is drawn anew for each engine: nobody can choose collisions.
func (t *sources) slot(addr *[16]byte) *uint32 {
	return &t.slots[maphash.Bytes(t.seed, addr[:])&t.mask]
}

// find returns a source's place, 0 if it has none.
func (t *sources) find(ip netip.Addr) uint32 {
	addr, is4 := ip.As16(), ip.Is4()
	for i := *t.slot(&addr); i != 0; {
		s := t.at(i)
		if s.addr == addr && s.is4 == is4 {
			return i
		}
		i = s.next
	}
	return 0
}

func (t *sources) insert(ip netip.Addr, now time.Duration) uint32 {
	i := t.take()
	s := t.at(i)
	*s = source{addr: ip.As16(), is4: ip.Is4(), last: now}
	slot := t.slot(&s.addr)
	s.next, *slot = *slot, i
	t.count++
	return i
}

// drop takes a source out of the table; its alignments are ended already.
func (t *sources) drop(i uint32) {
	s := t.at(i)
	t.unlist(i)
	link := t.slot(&s.addr)
	for *link != i {
		link = &t.at(*link).next
	}
	*link = s.next
	t.give(i)
	t.count--
}

// enlist puts a source at the end of the list of a stage.
func (t *sources) enlist(i uint32, stage uint8) {
	t.unlist(i)
	s, l := t.at(i), &t.lists[stage]
	s.stage, s.before, s.after = stage, l.last, 0
	if l.last != 0 {
		t.at(l.last).after = i
	} else {
		l.first = i
	}
	l.last = i
	l.length++
}

func (t *sources) unlist(i uint32) {
	s := t.at(i)
	if s.stage == 0 {
		return
	}
	l := &t.lists[s.stage]
	if s.before != 0 {
		t.at(s.before).after = s.after
	} else {
		l.first = s.after
	}
	if s.after != 0 {
		t.at(s.after).before = s.before
	} else {
		l.last = s.before
	}
	l.length--
	s.stage = 0
}

// victim is the source to drop when the table is full: the oldest of the lowest stage, but never keep.
func (t *sources) victim(keep uint32) uint32 {
	for stage := range t.lists {
		if i := t.lists[stage].first; i != keep && i != 0 {
			return i
		} else if i != 0 && t.at(i).after != 0 {
			return t.at(i).after
		}
	}
	return 0
}

// all returns the places of all sources, stage by stage, the oldest first.
func (t *sources) all() []uint32 {
	places := make([]uint32, 0, t.count)
	for stage := range t.lists {
		for i := t.lists[stage].first; i != 0; i = t.at(i).after {
			places = append(places, i)
		}
	}
	return places
}

func (s *source) ip() netip.Addr {
	ip := netip.AddrFrom16(s.addr)
	if s.is4 {
		return ip.Unmap()
	}
	return ip
}

func (t *sources) bytes() int {
	return len(t.blocks)*chunkSize*int(unsafe.Sizeof(source{})) + 4*len(t.slots) + 4*cap(t.free)
}
