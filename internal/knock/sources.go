package knock

import (
	"time"
	"unsafe"
)

// source is an address with a knock in flight at doors of one destination: those with no Target, or those with the same.
// Doors of different destinations have no stream in common unless the Target is one of our own addresses.
type source struct {
	key key
	// last is the time of its latest packet: one that says to be older counts as equal to it.
	last time.Duration
	// next is the next source in the same bucket; before and after are its neighbours in the list of its stage.
	next, before, after uint32
	// first is its first alignment.
	first uint32
	// destination is the number of the doors' destination.
	destination uint32
	// stage is the highest of its alignments; 0 for one in the hands of Step, which is in no list.
	stage uint8
}

// sources is the table of those that have shown more than one packet.
type sources struct {
	chunks[source]
	buckets
	hash
	stages
	// free is the first of the places given back, linked by next.
	free       uint32
	max, count int
}

func (t *sources) init(most int, h hash) {
	t.max, t.buckets, t.hash = most, newBuckets(most), h
	t.stages.table = &t.chunks
}

// find returns a source's place, 0 if it has none.
func (t *sources) find(k *key, destination uint32) uint32 {
	for i := *t.head(t.of(k, destination)); i != 0; {
		s := t.at(i)
		if s.key == *k && s.destination == destination {
			return i
		}
		i = s.next
	}
	return 0
}

// insert enters a source, which is in no list yet.
func (t *sources) insert(k *key, destination uint32, now time.Duration) uint32 {
	i := t.free
	if i != 0 {
		t.free = t.at(i).next
	} else {
		i = t.grow()
	}
	head := t.head(t.of(k, destination))
	*t.at(i) = source{key: *k, destination: destination, last: now, next: *head}
	*head = i
	t.count++
	return i
}

// drop takes a source out of the table; its alignments are ended already.
func (t *sources) drop(i uint32) {
	t.unlist(i)
	s := t.at(i)
	link := t.head(t.of(&s.key, s.destination))
	for *link != i {
		link = &t.at(*link).next
	}
	*link = s.next
	s.next, t.free = t.free, i
	t.count--
}

func (t *sources) bytes() int {
	return len(t.blocks)*chunkSize*int(unsafe.Sizeof(source{})) + t.buckets.bytes()
}
