package command

import (
	"errors"
	"net/netip"
	"strings"
)

// ErrTooLong refuses a command line that is longer than MaxLine.
var ErrTooLong = errors.New("the command is longer than 4095 bytes")

// Expand replaces every %IP% by the address as netip prints it, without a zone: nothing else of the network gets into a
// command line.
func Expand(line string, ip netip.Addr) (string, error) {
	line = strings.ReplaceAll(line, "%IP%", text(ip))
	if len(line) > MaxLine {
		return "", ErrTooLong
	}
	return line, nil
}

// text is an address without a zone: that is ours, and no part of it.
func text(ip netip.Addr) string { return ip.Unmap().WithZone("").String() }
