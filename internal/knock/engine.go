package knock

import (
	"hash/maphash"
	"net/netip"
	"time"

	"knockd/internal/packet"
)

// DefaultMaxSources is the size of the table of sources where Options says nothing.
const DefaultMaxSources = 262144

// Options of an engine.
type Options struct {
	// MaxSources bounds the table of sources, DefaultMaxSources if 0. Memory is used when it is touched; a full table and
	// its alignments take some 100 bytes a source.
	MaxSources int
}

// Engine decides which packets are a knock.
//
// A packet counts if some door lists its protocol and port, and that door's destination (its Target, else any own
// address) and flags admit it. A door's stream for a source is the counted packets of the source that the door's
// destination and flags admit, in order of arrival. The door keeps, for each source, alignments: ways in which the end of
// the stream can be the beginning of the sequence. A packet of the stream
//
//   - advances every alignment whose next port it is;
//   - ends every other alignment, but one that repeats the packet before it in the stream leaves those as they were;
//   - begins an alignment, at stage 1, if it is the first port.
//
// Of two alignments at one stage the one that began later stays. An alignment that is complete less than Timeout after its
// first packet opens the door, which then forgets that source's alignments; at Timeout an alignment is dead. A door of one
// port opens at every packet to it. A packet to a decoy ends the source's alignments at that door and matches nothing.
//
// Memory is bounded. A source is dropped for a new one when the table is full: first those that have shown only a first
// port, those further along last, the oldest first; but no stage holds more than half of the table. So a knock whose hits
// are T apart survives an attacker who knows as much of the sequence and shows it from MaxSources/2 sources in T.
type Engine struct {
	doors []door
	index index
	own   map[netip.Addr]struct{}
	// decoys is set if some door has decoys.
	decoys bool

	sources    sources
	alignments alignments
	deadlines  deadlines
	touched    []touched
	evicted    uint64
	counted    uint64
}

// door is a Door as it is compiled.
type door struct {
	Door
	class uint32
	// timeout is the index of its Timeout among the distinct ones.
	timeout uint32
}

// touched is what one packet did at one door.
type touched struct {
	door   uint32
	stage  uint8
	opened bool
	// silent: only an alignment that is not to be spoken of was begun.
	silent bool
}

// New returns an engine for the doors, which knows no own address yet.
func New(doors []Door, opts Options) *Engine {
	if opts.MaxSources <= 0 {
		opts.MaxSources = DefaultMaxSources
	}
	e := &Engine{doors: make([]door, len(doors)), own: map[netip.Addr]struct{}{}}
	e.index.init()
	e.sources.init(opts.MaxSources, maphash.MakeSeed())
	for i, d := range doors {
		e.doors[i] = door{Door: d, class: e.index.class(&d), timeout: e.deadlines.class(d.Timeout)}
		e.decoys = e.decoys || d.Decoys != nil
		e.index.add(uint32(i), e.doors[i].class, d.Sequence)
	}
	return e
}

// SetOwn says which addresses are ours.
func (e *Engine) SetOwn(addrs []netip.Addr) {
	clear(e.own)
	for _, a := range addrs {
		e.own[a.Unmap().WithZone("")] = struct{}{}
	}
}

// SetSequence changes what opens a door; the door forgets all alignments. A nil sequence never opens.
func (e *Engine) SetSequence(number int, sequence []packet.Port) {
	d := &e.doors[number]
	e.forget(uint32(number))
	e.index.remove(uint32(number), d.class, d.Sequence)
	d.Sequence = sequence
	e.index.add(uint32(number), d.class, sequence)
}

// forget ends every alignment at a door, without a word.
func (e *Engine) forget(number uint32) {
	for _, s := range e.sources.all() {
		e.endWhere(s, func(a *alignment) bool { return a.door == number })
	}
}

// Stats says what the engine holds.
type Stats struct {
	// Sources have a knock in flight; Alignments are what they may be the beginning of.
	Sources, Alignments int
	// Evicted were dropped for want of room; Counted is the packets that counted.
	Evicted, Counted uint64
	// Bytes is the memory of the tables.
	Bytes int
}

// Stats returns the engine's numbers.
func (e *Engine) Stats() Stats {
	return Stats{
		Sources: e.sources.count, Alignments: e.alignments.count, Evicted: e.evicted, Counted: e.counted,
		Bytes: e.sources.bytes() + e.alignments.bytes() + e.deadlines.bytes() + e.index.bytes(),
	}
}

// deadline is when an alignment is dead.
func (e *Engine) deadline(a *alignment) time.Duration { return a.began + e.doors[a.door].Timeout }
