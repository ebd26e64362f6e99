// Package decoy chooses the ports whose touch ends a scanner's knock: ports in no sequence, picked by a secret keyed
// hash that a classic BPF program can compute, and the neighbours of every port of the sequences.
//
// It is pure. Who is punished for touching a decoy, and how, belongs to package knock.
package decoy

// Key is the secret of the hash, drawn at random at every start.
type Key struct {
	// Multiply and Mix are odd; Add is any value.
	Multiply, Add, Mix uint32
}

// Hash spreads a port over 0 to 65535 with 32-bit arithmetic only, so that classic BPF can compute it too:
//
//	x = port*Multiply + Add; x ^= x >> 16; x *= Mix; return x >> 16
func (k Key) Hash(port uint16) uint32 {
	x := uint32(port)*k.Multiply + k.Add
	x ^= x >> 16
	x *= k.Mix
	return x >> 16
}
