package knock

import (
	"time"
	"unsafe"

	"knockd/internal/packet"
)

// alignment is one way in which the end of a stream can be the beginning of a sequence.
type alignment struct {
	// began is the time of its first packet.
	began time.Duration
	// next is the source's next alignment: they stand in the order of doors, and of stages at one door.
	next   uint32
	source uint32
	door   uint32
	// before and after are its neighbours in the list of its timeout; place is its place in the heap instead, plus 1.
	before, after, place uint32
	// last is the packet before the next one in the door's stream.
	last packet.Port
	// stage is from 1 to the sequence's length less 1.
	stage uint8
	// died is the highest stage that died of age at this door, of this source, while this one lives.
	died uint8
	// quiet: begun by a packet that also advanced or opened another door, and not spoken of before stage 2.
	quiet bool
	// quietDied is set if all that died were quiet.
	quietDied bool
}

// alignments is the memory of all of them.
type alignments struct {
	chunks[alignment]
	count int
}

func (t *alignments) insert(a alignment) uint32 {
	i := t.take()
	*t.at(i) = a
	t.count++
	return i
}

func (t *alignments) drop(i uint32) {
	t.give(i)
	t.count--
}

func (t *alignments) bytes() int {
	return len(t.blocks)*chunkSize*int(unsafe.Sizeof(alignment{})) + 4*cap(t.free)
}
