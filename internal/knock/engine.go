package knock

import (
	"hash/maphash"
	"net/netip"

	"knockd/internal/packet"
)

// DefaultMaxSources is the size of the table of sources where Options says nothing.
const DefaultMaxSources = 786432

// Options of an engine.
type Options struct {
	// MaxSources bounds the table of sources, DefaultMaxSources if 0, 4 if less. Memory is used when it is touched: 36 bytes for a
	// source that has shown one packet, 84 for the others.
	MaxSources int
	// Seed places the sources in the table; the zero Seed: one of the engine's own. It is a secret.
	Seed maphash.Seed
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
// port opens at every packet to it. A packet to a decoy (for TCP: one that opens a connection) ends the source's
// alignments at that door, if it goes to the door's destination, and matches nothing.
//
// A packet's time counts as that of the one before it from the same source, if it says to be older; between sources times
// need no order, for first packets may have been held back.
//
// Memory is bounded. Half of the table is for strangers, who have shown one packet: those who came first make room for
// those who come. The other half is for who has shown more. When it is full, a source of the lowest stage is dropped; and
// no stage holds more than half of it; and among equals the one that has been quiet for longest goes. So a knock whose
// hits are T seconds apart survives attackers who know some of its ports, and show them from ever new sources at r counted
// packets a second, if r*T < MaxSources/2: they need two packets for a source that is at stage 2, more for those beyond.
// By default that is 390,000 packets a second for hits 1 s apart, and 7.8 million for 50 ms. Where a stranger's packet
// begins knocks at doors of different flags or timeouts, or was held back, it takes a place in the second half, and T is
// half as long.
type Engine struct {
	doors []door
	index index
	own   map[netip.Addr]struct{}
	// decoys is set if some door has decoys.
	decoys bool

	strangers  strangers
	sources    sources
	alignments alignments
	deadlines  deadlines

	// What follows is of the packet in the hands of Step. The first of touched, as many as forward, were advanced or
	// opened by it, the others begun.
	views     [2]view
	touched   []touched
	forward   int
	inherited []inherited
	one       [1]uint32

	evicted uint64
	counted uint64
}

// door is a Door as it is compiled.
type door struct {
	Door
	destination uint32
	class       uint32
	// timeout is the index of its Timeout among the distinct ones, mostLists for the rare.
	timeout uint32
}

// New returns an engine for the doors, which knows no own address yet.
func New(doors []Door, opts Options) *Engine {
	if opts.MaxSources <= 0 {
		opts.MaxSources = DefaultMaxSources
	}
	if opts.Seed == (maphash.Seed{}) {
		opts.Seed = maphash.MakeSeed()
	}
	e := &Engine{doors: make([]door, len(doors)), own: map[netip.Addr]struct{}{}}
	half := max(2, opts.MaxSources/2) // a packet can be in two views, each with a source
	e.strangers.init(half, hash{opts.Seed})
	e.sources.init(half, hash{opts.Seed})
	e.index.init(hits(doors))
	for i, d := range doors {
		e.doors[i] = door{
			Door: d, destination: e.index.destination(d.Target), class: e.index.class(d.Flags), timeout: e.deadlines.class(d.Timeout),
		}
		e.decoys = e.decoys || d.Decoys != nil
		e.index.add(uint32(i), &e.doors[i])
	}
	return e
}

// hits is how many ports the sequences have together.
func hits(doors []Door) (n int) {
	for i := range doors {
		n += len(doors[i].Sequence)
	}
	return n
}

// SetOwn says which addresses are ours.
func (e *Engine) SetOwn(addrs []netip.Addr) {
	clear(e.own)
	for _, a := range addrs {
		e.own[plain(a)] = struct{}{}
	}
}

// SetSequence changes what opens a door; the door forgets all alignments. A nil sequence never opens.
func (e *Engine) SetSequence(number int, sequence []packet.Port) {
	d := &e.doors[number]
	e.forget(uint32(number))
	e.unknowFirst(d)
	e.index.remove(uint32(number), d)
	d.Sequence = sequence
	e.index.add(uint32(number), d)
	e.unknowFirst(d)
}

// unknowFirst makes the engine look anew at which doors begin with a door's first port.
func (e *Engine) unknowFirst(d *door) {
	if len(d.Sequence) > 0 {
		e.unknow(e.index.find(d.destination, d.Sequence[0]))
	}
}

// forget ends every alignment at a door, without a word.
func (e *Engine) forget(number uint32) {
	e.strangers.forget(number)
	e.sources.each(func(s uint32) {
		link := &e.sources.at(s).first
		for *link != 0 && e.alignments.at(*link).door < number {
			link = &e.alignments.at(*link).next
		}
		e.unlinkDoor(link, number)
		e.settle(s)
	})
}
