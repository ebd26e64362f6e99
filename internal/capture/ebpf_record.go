package capture

import (
	"encoding/binary"
	"net/netip"
	"structs"
	"time"
	"unsafe"

	"knockd/internal/packet"
)

// record is struct record of held.h. A sample of the ring has one, or two of one source.
type record struct {
	_            structs.HostLayout
	time         uint64
	src          [4]uint32
	ifindex, dst uint32
	sport, dport uint16
	proto        uint8
	flags        uint8
	family, _    uint8
}

const recordSize = int(unsafe.Sizeof(record{}))

// source is the address in network order.
func (r *record) source() netip.Addr {
	var b [16]byte
	for i, w := range r.src {
		binary.NativeEndian.PutUint32(b[4*i:], w)
	}
	if r.family == 4 {
		return netip.AddrFrom4([4]byte(b[:4]))
	}
	return netip.AddrFrom16(b)
}

// fill makes a packet of the record, to dst.
func (r *record) fill(p *packet.Packet, dst netip.Addr) {
	*p = packet.Packet{
		Time:      time.Duration(r.time),
		Src:       r.source(),
		Dst:       dst,
		SrcPort:   r.sport,
		Port:      packet.Port{Proto: packet.Proto(r.proto), Number: r.dport},
		Flags:     packet.Flags(r.flags),
		Interface: int(r.ifindex),
	}
}
