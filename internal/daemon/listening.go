package daemon

import (
	"knockd/internal/packet"
	"knockd/internal/procnet"
)

// listening returns the ports that something on this machine listens on: no decoy may be one of them. Where proc is missing
// it returns none: a decoy on a used port costs its users nothing but a spoiled knock.
func listening() []packet.Port {
	waits := map[packet.Proto]procnet.State{packet.TCP: procnet.Listening, packet.UDP: procnet.Closed}
	var ports []packet.Port
	for _, s := range procnet.Sockets("/proc/net") {
		if s.State == waits[s.Port.Proto] && s.Port.Number != 0 {
			ports = append(ports, s.Port)
		}
	}
	return ports
}
