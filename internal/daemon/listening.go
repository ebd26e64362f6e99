package daemon

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"knockd/internal/packet"
)

// listening returns the ports that something on this machine listens on, read from proc(5): no decoy may be one of
// them. Where proc is missing it returns none: a decoy on a used port costs its users nothing but a spoiled knock.
func listening() []packet.Port {
	var ports []packet.Port
	for _, table := range []struct {
		file  string
		proto packet.Proto
		// state is the st column of a socket that waits: TCP_LISTEN, and TCP_CLOSE for UDP's unconnected ones
		// (include/net/tcp_states.h).
		state string
	}{
		{"/proc/net/tcp", packet.TCP, "0A"},
		{"/proc/net/tcp6", packet.TCP, "0A"},
		{"/proc/net/udp", packet.UDP, "07"},
		{"/proc/net/udp6", packet.UDP, "07"},
	} {
		file, err := os.Open(table.file)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(file); lines.Scan(); {
			if port, ok := socketPort(lines.Text(), table.state); ok {
				ports = append(ports, packet.Port{Proto: table.proto, Number: port})
			}
		}
		_ = file.Close()
	}
	return ports
}

// socketPort reads the local port of a line like `0: 00000000:0016 00000000:0000 0A ...`.
func socketPort(line, state string) (uint16, bool) {
	fields := strings.Fields(line)
	if len(fields) < 4 || fields[3] != state {
		return 0, false
	}
	_, hex, ok := strings.Cut(fields[1], ":")
	if !ok {
		return 0, false
	}
	port, err := strconv.ParseUint(hex, 16, 16)
	return uint16(port), err == nil && port != 0
}
