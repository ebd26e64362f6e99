package capture

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"knockd/internal/capture/bpf"
)

// allInterfaces marks the key of a socket of every interface, as in held.h.
const allInterfaces = 1 << 31

// extendedSocket is a socket of the eBPF backend. It never receives anything: its program sees every packet, and lets
// none through.
type extendedSocket struct {
	tap      tap
	fd       int
	counts   *ebpf.Map
	events   *eventReader
	received atomic.Uint64
	// refused counts records of destinations that were ours.
	refused atomic.Uint64

	mu sync.Mutex
	// closed is set when counts has nothing of this socket any more; last is then what there was.
	closed bool
	last   bpf.KnockTally
}

// key tells sockets apart in the map of counts.
func (t tap) key() uint32 {
	switch {
	case t.index != 0:
		return uint32(t.index)
	case t.protocol == unix.ETH_P_IPV6:
		return allInterfaces | 6
	default:
		return allInterfaces | 4
	}
}

// beginCounts begins to count from 0.
func (s *extendedSocket) beginCounts() error {
	if err := s.counts.Put(s.tap.key(), make([]bpf.KnockTally, ebpf.MustPossibleCPU())); err != nil {
		return fmt.Errorf("making counters: %w", err)
	}
	return nil
}

func (s *extendedSocket) gone() bool { return packetGone(s.fd) }

func (s *extendedSocket) counters() Counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.readCounts()
	}
	c := Counters{Received: s.received.Load(), Dropped: s.last.Dropped, Held: s.last.Held}
	c.Refused[RefusedDestination] = s.refused.Load()
	return c
}

// readCounts sums the counters over the processors.
func (s *extendedSocket) readCounts() {
	var each []bpf.KnockTally
	if s.counts.Lookup(s.tap.key(), &each) != nil {
		return
	}
	s.last = bpf.KnockTally{}
	for _, c := range each {
		s.last.Dropped += c.Dropped
		s.last.Held += c.Held
	}
}

// close ends the reception, and with it every run of the program (packet_release in net/packet/af_packet.c waits for
// them); what is left of it in the ring is not delivered.
func (s *extendedSocket) close() {
	s.events.remove(s)
	// Nothing can be done about errors here, and none is possible with a descriptor and a key of our own.
	_ = unix.Close(s.fd)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readCounts()
	s.closed = true
	_ = s.counts.Delete(s.tap.key())
}
