package hostile

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"knockd/internal/packet"
)

// oracle says for whom the door opens, from the frames that were sent: a restatement of the rule for a sequence of ports
// that differ. It counts packets that are refused too, by the same parser as the daemon.
type oracle struct {
	own     []netip.Addr
	streams map[netip.Addr][]uint16
	opened  map[string]int
	// rejected counts frames that the daemon must not count as packets of the door.
	rejected int
}

func newOracle(own ...netip.Addr) *oracle {
	return &oracle{own: own, streams: map[netip.Addr][]uint16{}, opened: map[string]int{}}
}

// sent takes a frame that was sent.
func (o *oracle) sent(data []byte) {
	source, port, ok := o.hit(data)
	if !ok {
		o.rejected++
		return
	}
	stream := o.streams[source]
	if n := len(stream); n > 0 && stream[n-1] == port {
		return // a repeat changes nothing in a sequence of ports that differ
	}
	stream = append(stream, port)
	if len(stream) > len(sequence) {
		stream = stream[1:]
	}
	o.streams[source] = stream
	if slices.Equal(stream, sequence) {
		o.opened[source.String()]++
		// The last packet stays, for its repeats, and is no beginning.
	}
}

// hit reads a frame: which source hits which port of the door.
func (o *oracle) hit(data []byte) (netip.Addr, uint16, bool) {
	kind, payload := binary.BigEndian.Uint16(data[12:]), data[14:]
	// A tag with a priority and no number belongs to the interface itself (802.1Q, 802.1ad).
	if (kind == unix.ETH_P_8021Q || kind == unix.ETH_P_8021AD) && len(payload) >= 4 && binary.BigEndian.Uint16(payload)&0xfff == 0 {
		kind, payload = binary.BigEndian.Uint16(payload[2:]), payload[4:]
	}
	var p packet.Packet
	if (kind != unix.ETH_P_IP && kind != unix.ETH_P_IPV6) || packet.Parse(payload, &p) != nil {
		return netip.Addr{}, 0, false
	}
	if p.Src.Is4() != (kind == unix.ETH_P_IP) || p.Src.IsLoopback() || !slices.Contains(o.own, p.Dst) {
		return netip.Addr{}, 0, false
	}
	if packet.ParseSnapped(payload, len(payload), &p) != nil || p.Port.Proto != packet.TCP || !slices.Contains(sequence, p.Port.Number) {
		return netip.Addr{}, 0, false
	}
	return p.Src, p.Port.Number, true
}
