package knock

import (
	"time"
	"unsafe"
)

// alignment is one way in which the end of a stream can be the beginning of a sequence. The packet before the next one in
// the stream needs no memory: it is the port that brought the alignment to its stage, or a repeat of it.
type alignment struct {
	// began is the time of its first packet.
	began time.Duration
	// next is the source's next alignment: they stand in the order of doors, and of stages at one door, where the one
	// that began later is the one less far.
	next   uint32
	source uint32
	door   uint32
	// before and after are its neighbours in the list of its timeout; in the heap, before is its place there.
	before, after uint32
	// stage is from 1 to the sequence's length less 1.
	stage uint8
	// died is the highest stage that died of age and is to be spoken of, since the source last had no alignment at this
	// door; all alignments of a source at a door have the same.
	died uint8
	// quiet: begun by a packet that also advanced or opened another door, and not spoken of before stage 2.
	quiet  bool
	inHeap bool
}

// alignments is the memory of all of them.
type alignments struct {
	chunks[alignment]
	// free is the first of the places given back, linked by next.
	free  uint32
	count int
}

func (t *alignments) insert(a alignment) uint32 {
	i := t.free
	if i != 0 {
		t.free = t.at(i).next
	} else {
		i = t.grow()
	}
	*t.at(i) = a
	t.count++
	return i
}

func (t *alignments) drop(i uint32) {
	t.at(i).next = t.free
	t.free = i
	t.count--
}

func (t *alignments) bytes() int {
	return len(t.blocks) * chunkSize * int(unsafe.Sizeof(alignment{}))
}

// unlink takes the alignment that a link leads to away; the link then leads to the next.
func (e *Engine) unlink(link *uint32) {
	i := *link
	*link = e.alignments.at(i).next
	e.unwatch(i)
	e.alignments.drop(i)
}

// enter puts an alignment where a link leads, before the one that is there.
func (e *Engine) enter(link *uint32, a alignment) {
	a.next = *link
	*link = e.alignments.insert(a)
	e.watch(*link)
}

// afterDoor returns the link behind the alignments at a door that begin at link.
func (e *Engine) afterDoor(link *uint32, door uint32) *uint32 {
	for *link != 0 && e.alignments.at(*link).door == door {
		link = &e.alignments.at(*link).next
	}
	return link
}
