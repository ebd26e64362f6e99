package knock

import (
	"net/netip"
	"unsafe"

	"knockd/internal/packet"
)

// index finds, in constant time, what a port means to the doors of a destination.
type index struct {
	// tcp and udp map a port to its info's place, for the doors that have no Target; 0 is none.
	tcp, udp []uint32
	// targets numbers the Targets of doors from 1; ports is what tcp and udp are, for these.
	targets map[netip.Addr]uint32
	ports   map[targetPort]uint32
	infos   []portInfo
	free    []uint32
	// classes are the distinct flags that doors ask for. Doors of one class and destination have one stream.
	classes  []packet.FlagMatch
	classIDs map[packet.FlagMatch]uint32
}

// ours is the destination of the doors without a Target: any own address.
const ours = 0

type targetPort struct {
	destination uint32
	port        packet.Port
}

const ports = 1 << 16

// init makes room for as many hits as the sequences have together.
func (x *index) init(hits int) {
	x.tcp, x.udp = make([]uint32, ports), make([]uint32, ports)
	x.infos = make([]portInfo, 1, 1+min(hits, ports))
	x.classIDs = map[packet.FlagMatch]uint32{}
	x.targets, x.ports = map[netip.Addr]uint32{}, map[targetPort]uint32{}
}

// class returns the number of what a door asks of flags.
func (x *index) class(flags packet.FlagMatch) uint32 {
	id, ok := x.classIDs[flags]
	if !ok {
		id = uint32(len(x.classes))
		x.classes = append(x.classes, flags)
		x.classIDs[flags] = id
	}
	return id
}

// destination returns the number of a door's destination.
func (x *index) destination(target netip.Addr) uint32 {
	if !target.IsValid() {
		return ours
	}
	target = plain(target)
	id, ok := x.targets[target]
	if !ok {
		id = uint32(len(x.targets)) + 1
		x.targets[target] = id
	}
	return id
}

// plain is an address as packets have it.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// table is the protocol's, nil for one that no knock is made of.
func (x *index) table(p packet.Proto) []uint32 {
	switch p {
	case packet.TCP:
		return x.tcp
	case packet.UDP:
		return x.udp
	default:
		return nil
	}
}

// place returns the place of a port's info, 0 if no door of the destination lists it.
func (x *index) place(destination uint32, p packet.Port) uint32 {
	if destination != ours {
		return x.ports[targetPort{destination, p}]
	}
	if t := x.table(p.Proto); t != nil {
		return t[p.Number]
	}
	return 0
}

func (x *index) setPlace(destination uint32, p packet.Port, place uint32) {
	switch {
	case destination == ours:
		x.table(p.Proto)[p.Number] = place
	case place == 0:
		delete(x.ports, targetPort{destination, p})
	default:
		x.ports[targetPort{destination, p}] = place
	}
}

// find returns what a port means, nil if no door of the destination lists it.
func (x *index) find(destination uint32, p packet.Port) *portInfo {
	if i := x.place(destination, p); i != 0 {
		return &x.infos[i]
	}
	return nil
}

// mentions reports whether a packet to a port can mean anything to doors.
func (x *index) mentions(p packet.Port) bool {
	return x.place(ours, p) != 0 || len(x.targets) > 0
}

func (x *index) add(number uint32, d *door) {
	for i, p := range d.Sequence {
		info := x.make(d.destination, p)
		if info == nil {
			continue
		}
		info.addClass(d.class)
		if i == 0 {
			info.addStarter(number + 1)
		}
	}
}

// make returns the info of a port, a new one if it has none; nil for a protocol that has no ports.
func (x *index) make(destination uint32, p packet.Port) *portInfo {
	if x.table(p.Proto) == nil {
		return nil
	}
	if info := x.find(destination, p); info != nil {
		return info
	}
	i := uint32(len(x.infos))
	if last := len(x.free) - 1; last >= 0 {
		i, x.free = x.free[last], x.free[:last]
	} else {
		x.infos = append(x.infos, portInfo{})
	}
	x.setPlace(destination, p, i)
	return &x.infos[i]
}

func (x *index) remove(number uint32, d *door) {
	for i, p := range d.Sequence {
		place := x.place(d.destination, p)
		if place == 0 {
			continue
		}
		info := &x.infos[place]
		if i == 0 {
			info.removeStarter(number + 1)
		}
		if info.removeClass(d.class) {
			*info = portInfo{}
			x.free = append(x.free, place)
			x.setPlace(d.destination, p, 0)
		}
	}
}

func (x *index) bytes() int {
	return 4*(len(x.tcp)+len(x.udp)) + cap(x.infos)*int(unsafe.Sizeof(portInfo{})) + 16*len(x.ports)
}
