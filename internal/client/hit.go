// Package client is the knock program: it reads the command line and sends the hits of a knock. What else sends a knock
// (the demo, benchmarks) uses the same hits.
//
// It links nothing of the daemon, starts fast, and builds for systems that the daemon does not know; what such a system
// cannot do is refused.
package client

import (
	"fmt"
	"strconv"
	"strings"
)

// Hit is one packet of a knock.
type Hit struct {
	UDP  bool // TCP otherwise
	Port uint16
}

// ParseHit reads PORT[:PROTO]. The port is a number from 1 to 65535, the protocol tcp (the default) or udp in any case.
func ParseHit(text string) (Hit, error) {
	digits, protocol, named := strings.Cut(text, ":")
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || port == 0 {
		return Hit{}, fmt.Errorf("bad port '%s': want a number from 1 to 65535", text)
	}
	hit := Hit{Port: uint16(port)}
	switch {
	case !named || strings.EqualFold(protocol, "tcp"):
	case strings.EqualFold(protocol, "udp"):
		hit.UDP = true
	default:
		return Hit{}, fmt.Errorf("bad protocol in '%s': want tcp or udp", text)
	}
	return hit, nil
}

// Protocol is "tcp" or "udp".
func (h Hit) Protocol() string {
	if h.UDP {
		return "udp"
	}
	return "tcp"
}
