package setup

import (
	"encoding/binary"
	"io"
	"slices"
)

// length is the number of ports: about 60 bits of choice, less a few thousand ports that are avoided.
const length = 4

// draw picks the ports of a sequence: none that is avoided, none below 1024, no two that are neighbours, and not in
// order, since a scan that ascends or descends hits an ordered sequence by itself.
func draw(random io.Reader, avoid map[uint16]bool) ([]uint16, error) {
	for {
		sequence := make([]uint16, 0, length)
		for len(sequence) < length {
			port, err := drawPort(random)
			if err != nil {
				return nil, err
			}
			if !avoid[port] && apart(sequence, port) {
				sequence = append(sequence, port)
			}
		}
		if !ordered(sequence) {
			return sequence, nil
		}
	}
}

// drawPort returns each port from 1024 to 65535 with the same chance.
func drawPort(random io.Reader) (uint16, error) {
	var b [2]byte
	for {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return 0, err
		}
		if port := binary.BigEndian.Uint16(b[:]); port >= 1024 {
			return port, nil
		}
	}
}

func apart(sequence []uint16, port uint16) bool {
	return !slices.ContainsFunc(sequence, func(have uint16) bool {
		return max(have, port)-min(have, port) <= 1
	})
}

func ordered(sequence []uint16) bool {
	descending := slices.Clone(sequence)
	slices.Reverse(descending)
	return slices.IsSorted(sequence) || slices.IsSorted(descending)
}
