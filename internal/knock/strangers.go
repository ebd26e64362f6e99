package knock

import (
	"time"
	"unsafe"
)

// stranger is a source that has shown one packet, to the first port of some doors. Floods and scans are made of these, so
// that they are kept in as little memory as can be: a packet to come makes a source of it.
type stranger struct {
	key   key
	began time.Duration
	// next is the next stranger in the same bucket.
	next uint32
	// signature is what it has begun; 0: it is gone.
	signature uint32
}

// strangers is the table of them, in queues by timeout: the one that came first dies first, and is the first to be dropped
// for want of room. One that goes meanwhile leaves its place empty until its turn comes.
type strangers struct {
	buckets
	hash
	signatures
	blocks [][]stranger
	// following is the block behind each in its queue; free are in none.
	following []uint32
	free      []uint32
	queues    [mostLists]queue
	// max bounds length, which is the length of all queues; count is those of them who are not gone.
	max, length, count int
}

// queue is a part of the table, in the order of arrival and time.
type queue struct {
	// head is the place of the first, tail the place behind the last.
	head, tail uint32
	length     int
	// newest is when the last one began.
	newest time.Duration
}

func (t *strangers) init(most int, h hash) {
	t.max, t.buckets, t.hash = most, newBuckets(most), h
	t.blocks, t.following = make([][]stranger, 1), make([]uint32, 1) // place 0 is none
}

func (t *strangers) at(i uint32) *stranger { return &t.blocks[i>>chunkBits][i&(chunkSize-1)] }

// find returns a stranger's place, 0 if it has none.
func (t *strangers) find(k *key, destination uint32) uint32 {
	for i := *t.head(t.of(k, destination)); i != 0; {
		s := t.at(i)
		if s.key == *k && t.all[s.signature].destination == destination {
			return i
		}
		i = s.next
	}
	return 0
}

// accepts reports whether a stranger may stand at the end of its queue: not one whose packet was held back, and is older.
func (t *strangers) accepts(signature uint32, began time.Duration) bool {
	q := &t.queues[t.all[signature].timeout]
	return q.length == 0 || q.newest <= began
}

// push enters a stranger at the end of its queue. There is room for it.
func (t *strangers) push(k *key, began time.Duration, signature uint32) {
	sig := &t.all[signature]
	q := &t.queues[sig.timeout]
	i := t.place(q)
	head := t.head(t.of(k, sig.destination))
	*t.at(i) = stranger{key: *k, began: began, next: *head, signature: signature}
	*head = i
	q.newest = began
	q.length++
	sig.strangers++
	t.length++
	t.count++
}

// place returns the place behind the last of a queue.
func (t *strangers) place(q *queue) uint32 {
	if q.length > 0 && q.tail&(chunkSize-1) != 0 {
		q.tail++
		return q.tail - 1
	}
	b := t.block()
	if q.length == 0 {
		q.head = b << chunkBits
	} else {
		t.following[(q.tail-1)>>chunkBits] = b
	}
	q.tail = b<<chunkBits + 1
	return b << chunkBits
}

// block returns one that is in no queue.
func (t *strangers) block() uint32 {
	if last := len(t.free) - 1; last >= 0 {
		b := t.free[last]
		t.free = t.free[:last]
		return b
	}
	t.blocks = append(t.blocks, make([]stranger, chunkSize))
	t.following = append(t.following, 0)
	return uint32(len(t.blocks) - 1)
}

// remove takes a stranger out.
func (t *strangers) remove(i uint32) {
	s := t.at(i)
	sig := &t.all[s.signature]
	link := t.head(t.of(&s.key, sig.destination))
	for *link != i {
		link = &t.at(*link).next
	}
	*link = s.next
	signature := s.signature
	s.signature = 0
	sig.strangers--
	t.count--
	t.trim(&t.queues[sig.timeout])
	t.release(signature)
}

// trim lets go of empty places at the head of a queue.
func (t *strangers) trim(q *queue) {
	for q.length > 0 && t.at(q.head).signature == 0 {
		b := q.head >> chunkBits
		q.head++
		q.length--
		t.length--
		switch {
		case q.length == 0:
			t.free = append(t.free, b)
		case q.head&(chunkSize-1) == 0:
			t.free = append(t.free, b)
			q.head = t.following[b] << chunkBits
		}
	}
}

// oldest returns the place of the one that came first of all, 0 if there is none.
func (t *strangers) oldest() uint32 {
	var first uint32
	for i := range t.queues {
		if q := &t.queues[i]; q.length > 0 && (first == 0 || t.at(q.head).began < t.at(first).began) {
			first = q.head
		}
	}
	return first
}

func (t *strangers) bytes() int {
	return (len(t.blocks)-1)*chunkSize*int(unsafe.Sizeof(stranger{})) + t.buckets.bytes() + t.signatures.bytes()
}

// admitStranger remembers a source by its first packet alone.
func (e *Engine) admitStranger(k *key, began time.Duration, signature uint32) {
	if e.strangers.length >= e.strangers.max {
		e.strangers.remove(e.strangers.oldest())
		e.evicted++
	}
	e.strangers.push(k, began, signature)
}

// promote makes a source of a stranger who is not one any more. It returns 0 if the doors that it began at have forgotten
// it.
func (e *Engine) promote(i uint32) uint32 {
	st := *e.strangers.at(i)
	sig := e.strangers.all[st.signature]
	e.strangers.remove(i)
	if len(sig.doors) == 0 {
		return 0
	}
	e.makeRoom()
	s := e.sources.insert(&st.key, sig.destination, st.began)
	link := &e.sources.at(s).first
	for _, door := range sig.doors {
		e.makeAlignmentRoom()
		e.enter(link, alignment{began: st.began, source: s, door: door, stage: 1})
		link = &e.alignments.at(*link).next
	}
	return s
}
