package decoy

// ports is a set of port numbers, 8 KiB.
type ports [1 << 16 / 64]uint64

func (s *ports) has(n uint16) bool { return s[n/64]>>(n%64)&1 == 1 }

func (s *ports) add(n uint16) { s[n/64] |= 1 << (n % 64) }

// remove takes all of other out of s.
func (s *ports) remove(other *ports) {
	for i := range s {
		s[i] &^= other[i]
	}
}
