package config

import (
	"errors"
	"fmt"
	"strings"

	"knockd/internal/packet"
)

// maxSequence is the reference's bound on the ports of a sequence.
const maxSequence = 32

// sequence is a parsed list of ports with what is odd about it.
type sequence struct {
	ports []packet.Port
	// never says why no packet can be the knock, empty if one can.
	never string
	// odd are remarks on ports that mean something other than what they look like.
	odd []string
}

// ParseSequence reads one line of a one-time file: 1 to 32 ports, each with an optional protocol. It is strict where a
// line would be loaded by the reference but could never be knocked, as with port 0: that is an error here.
func ParseSequence(s string) ([]packet.Port, error) {
	parsed, err := parseSequence(s)
	if err != nil {
		return nil, err
	}
	if parsed.never != "" {
		return nil, errors.New(parsed.never)
	}
	return parsed.ports, nil
}

func parseSequence(s string) (sequence, error) {
	var parsed sequence
	for item := range strings.SplitSeq(s, ",") {
		if len(parsed.ports) == maxSequence {
			return sequence{}, fmt.Errorf("more than %d ports in the sequence", maxSequence)
		}
		if err := parsed.add(trim(item)); err != nil {
			return sequence{}, err
		}
	}
	return parsed, nil
}

// add reads "port[:protocol]". What follows a second colon means nothing to the reference.
func (s *sequence) add(item string) error {
	number, rest, named := strings.Cut(item, ":")
	proto := packet.TCP
	if named {
		word, more, extra := strings.Cut(rest, ":")
		var err error
		if proto, err = protocol(trim(word)); err != nil {
			return err
		}
		if extra {
			s.odd = append(s.odd, fmt.Sprintf("%q after the protocol means nothing", ":"+more))
		}
	}
	port, err := s.number(trim(number))
	s.ports = append(s.ports, packet.Port{Proto: proto, Number: port})
	return err
}

// number returns 0 for what is no port at all: such a sequence loads and never opens.
func (s *sequence) number(text string) (uint16, error) {
	read := leniently(text)
	switch {
	case read.n > 65535:
		return 0, fmt.Errorf("port %s is above 65535", text)
	case read.n == 0 && read.exact:
		s.never = "port 0 in its sequence"
		return 0, nil
	case read.n <= 0 || !read.fits:
		s.never = fmt.Sprintf("%q in its sequence is no port", text)
		return 0, nil
	case !read.exact:
		s.odd = append(s.odd, fmt.Sprintf("%q is read as port %d", text, read.n))
	}
	return uint16(read.n), nil
}

func protocol(word string) (packet.Proto, error) {
	switch strings.ToLower(word) {
	case "tcp":
		return packet.TCP, nil
	case "udp":
		return packet.UDP, nil
	}
	return 0, fmt.Errorf("unknown protocol %q, tcp and udp are known", word)
}
