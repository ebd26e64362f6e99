// Package procnet reads from proc(5) which sockets there are, and which processes hold them.
//
// What follows from a socket that is open belongs to whoever asks.
package procnet

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"knockd/internal/packet"
)

// State is the st column of a socket's line (include/net/tcp_states.h).
type State string

// The states that are asked for. A UDP socket that is not connected stands as Closed.
const (
	Established State = "01"
	Closed      State = "07"
	Listening   State = "0A"
)

// Socket is one line of /proc/net/tcp and its like.
type Socket struct {
	// Port is the local one; its number may be 0.
	Port  packet.Port
	State State
	// Inode names the socket in a process's list of descriptors.
	Inode string
}

// Sockets returns the TCP and UDP sockets, of both families, of the network namespace that net describes: /proc/net, or
// /proc/PID/net. Tables that can't be read have none.
func Sockets(net string) []Socket {
	var all []Socket
	for _, table := range []struct {
		file  string
		proto packet.Proto
	}{{"tcp", packet.TCP}, {"tcp6", packet.TCP}, {"udp", packet.UDP}, {"udp6", packet.UDP}} {
		text, err := os.ReadFile(filepath.Join(net, table.file))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if s, ok := parse(line, table.proto); ok {
				all = append(all, s)
			}
		}
	}
	return all
}

// parse reads a line like `0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 12345 ...`.
func parse(line string, proto packet.Proto) (Socket, bool) {
	const address, state, inode = 1, 3, 9
	fields := strings.Fields(line)
	if len(fields) <= inode || !strings.HasSuffix(fields[0], ":") {
		return Socket{}, false // the header
	}
	_, hex, ok := strings.Cut(fields[address], ":")
	port, err := strconv.ParseUint(hex, 16, 16)
	return Socket{
		Port: packet.Port{Proto: proto, Number: uint16(port)}, State: State(fields[state]), Inode: fields[inode],
	}, ok && err == nil
}

// Held returns the inodes of the sockets that a process holds; process is /proc/PID. Those of others only root can see.
func Held(process string) map[string]bool {
	inodes := map[string]bool{}
	fds, err := os.ReadDir(filepath.Join(process, "fd"))
	if err != nil {
		return inodes
	}
	for _, fd := range fds {
		target, err := os.Readlink(filepath.Join(process, "fd", fd.Name()))
		if err != nil {
			continue
		}
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			inodes[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return inodes
}
