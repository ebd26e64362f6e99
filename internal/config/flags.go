package config

import (
	"fmt"
	"strings"

	"knockd/internal/packet"
)

// flagNames are the words of the TCPFlags directive, in the order of the bits of packet.Flags.
func flagNames() []string { return []string{"fin", "syn", "rst", "psh", "ack", "urg"} }

// addFlags adds a list of flags to a match. Of a flag that is named twice the later word counts (seen on the reference:
// with "syn,!syn" only packets without syn pass).
func addFlags(m packet.FlagMatch, list string) (packet.FlagMatch, error) {
	for item := range strings.SplitSeq(list, ",") {
		word, clear := strings.CutPrefix(trim(item), "!")
		bit, err := flagBit(word)
		if err != nil {
			return m, err
		}
		m.Set &^= bit
		m.Clear &^= bit
		if clear {
			m.Clear |= bit
		} else {
			m.Set |= bit
		}
	}
	return m, nil
}

func flagBit(word string) (packet.Flags, error) {
	for i, name := range flagNames() {
		if strings.EqualFold(word, name) {
			return 1 << i, nil
		}
	}
	return 0, fmt.Errorf("unknown TCP flag %q", word)
}
