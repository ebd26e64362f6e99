package decoy

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Key is the secret of the hash, drawn at random at every start.
type Key struct {
	// Multiply and Mix are odd; Add is any value.
	Multiply, Add, Mix uint32
}

// NewKey draws a key: 12 bytes from rand, which is crypto/rand.Reader but in tests.
func NewKey(rand io.Reader) (Key, error) {
	var b [12]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return Key{}, fmt.Errorf("drawing the key of the decoys: %w", err)
	}
	return Key{
		Multiply: binary.LittleEndian.Uint32(b[0:]) | 1,
		Add:      binary.LittleEndian.Uint32(b[4:]),
		Mix:      binary.LittleEndian.Uint32(b[8:]) | 1,
	}, nil
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
