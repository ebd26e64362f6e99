package capture

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// allInterfaces marks the key of a socket of every interface, as in held.h.
const allInterfaces = 1 << 31

// extendedSocket is a socket of the eBPF backend. It never receives anything: its program sees every packet, and lets
// none through.
type extendedSocket struct {
	tap      tap
	fd       int
	drops    *ebpf.Map
	events   *eventReader
	received atomic.Uint64
	// refused counts records of destinations that were ours.
	refused atomic.Uint64

	mu sync.Mutex
	// closed is set when drops has nothing of this socket any more; dropped is then what there was.
	closed  bool
	dropped uint64
}

// key tells sockets apart in the map of drops.
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

// countDrops begins to count from 0.
func (s *extendedSocket) countDrops() error {
	zero := make([]uint64, ebpf.MustPossibleCPU())
	if err := s.drops.Put(s.tap.key(), zero); err != nil {
		return fmt.Errorf("making a counter: %w", err)
	}
	return nil
}

func (s *extendedSocket) gone() bool { return packetGone(s.fd) }

func (s *extendedSocket) counters() Counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.readDrops()
	}
	c := Counters{Received: s.received.Load(), Dropped: s.dropped}
	c.Refused[RefusedDestination] = s.refused.Load()
	return c
}

// readDrops sums the counter over the processors.
func (s *extendedSocket) readDrops() {
	var each []uint64
	if s.drops.Lookup(s.tap.key(), &each) != nil {
		return
	}
	s.dropped = 0
	for _, n := range each {
		s.dropped += n
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
	s.readDrops()
	s.closed = true
	_ = s.drops.Delete(s.tap.key())
}
