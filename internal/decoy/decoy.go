// Package decoy chooses the ports whose touch ends a scanner's knock: ports in no sequence, picked by a secret keyed
// hash that a classic BPF program can compute, and the neighbours of every port of the sequences.
//
// It is pure. Who is punished for touching a decoy, and how, belongs to package knock.
package decoy

import (
	"cmp"
	"math"
	"slices"

	"knockd/internal/packet"
)

// FirstHashed is the lowest port that the hash may choose: below it live the services that strangers try honestly.
const FirstHashed = 1024

// Set is the decoys of the doors that want the same number of them. It never changes: when sequences or listeners do, a
// new one is made. A decoy is one in TCP and in UDP.
type Set struct {
	key        Key
	threshold  uint32
	neighbours []packet.Port
	tcp, udp   ports
}

// New returns the decoys for doors that want about n ports chosen by the hash; n is held between 0 and 64512, which is
// all of them from 1024 on. exclude are the ports that something on this machine listens on. sequences are the ports of
// all sequences of all doors, also of those without decoys, and of one-time lines that are still to come. Neither are
// ever decoys, in the protocol that they are given with.
func New(key Key, n int, exclude, sequences []packet.Port) *Set {
	s := &Set{key: key, threshold: threshold(n)}
	var never Set
	for _, list := range [][]packet.Port{exclude, sequences} {
		for _, p := range list {
			never.add(p)
		}
	}
	s.addNeighbours(sequences, &never)
	for n := FirstHashed; n <= math.MaxUint16; n++ {
		if key.Hash(uint16(n)) < s.threshold {
			s.tcp.add(uint16(n))
			s.udp.add(uint16(n))
		}
	}
	s.tcp.remove(&never.tcp)
	s.udp.remove(&never.udp)
	return s
}

// threshold is the bound below which about n of the 64512 hashes from FirstHashed on lie.
func threshold(n int) uint32 {
	const all = math.MaxUint16 + 1 - FirstHashed
	n = min(max(n, 0), all)
	return uint32((n*(math.MaxUint16+1) + all/2) / all)
}

// addNeighbours adds the ports beside those of the sequences. Port 0 is nobody's neighbour: no packet goes there.
func (s *Set) addNeighbours(sequences []packet.Port, never *Set) {
	for _, p := range sequences {
		for _, beside := range [2]int{int(p.Number) - 1, int(p.Number) + 1} {
			n := packet.Port{Proto: p.Proto, Number: uint16(beside)}
			if beside < 1 || beside > math.MaxUint16 || never.Contains(n) || s.Contains(n) {
				continue
			}
			s.add(n)
			s.neighbours = append(s.neighbours, n)
		}
	}
	slices.SortFunc(s.neighbours, func(a, b packet.Port) int {
		return cmp.Or(cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Number, b.Number))
	})
}

// Contains reports whether p is a decoy. It takes constant time and allocates nothing.
func (s *Set) Contains(p packet.Port) bool {
	bits := s.of(p.Proto)
	return bits != nil && bits.has(p.Number)
}

// Key returns the key of the hash.
func (s *Set) Key() Key { return s.key }

// Threshold returns the bound of the hash, 0 to 65536: a port from FirstHashed on is a decoy if Key().Hash(port) is
// below it, unless it is excluded or in a sequence.
func (s *Set) Threshold() uint32 { return s.threshold }

// Neighbours returns the decoys that are so for standing beside a port of a sequence, in order of protocol and number.
// The caller does not change them.
func (s *Set) Neighbours() []packet.Port { return s.neighbours }

// add makes p a decoy; a protocol that has no ports is ignored.
func (s *Set) add(p packet.Port) {
	if bits := s.of(p.Proto); bits != nil {
		bits.add(p.Number)
	}
}

// of returns the ports of a protocol, nil if it has none.
func (s *Set) of(p packet.Proto) *ports {
	switch p {
	case packet.TCP:
		return &s.tcp
	case packet.UDP:
		return &s.udp
	default:
		return nil
	}
}
