package knock

import (
	"net/netip"
	"slices"

	"knockd/internal/packet"
)

// index finds, in constant time, what a port means to the doors.
type index struct {
	// numbers maps a port, per protocol, to its info's place; 0 is none.
	tcp, udp []uint32
	infos    []portInfo
	free     []uint32
	// classes are the distinct ways of admitting a packet: flags and target. Doors of one class have one stream.
	classes  []class
	classIDs map[class]uint32
}

// class is what a door asks of a packet beside its port.
type class struct {
	flags  packet.FlagMatch
	target netip.Addr
}

// portInfo is what the doors that list a port come to. Nearly every port has one class and at most one door that begins
// with it: these stand here, and only the others in extra.
type portInfo struct {
	class, count uint32
	// starter is the door whose sequence begins here, plus 1; 0 is none.
	starter uint32
	extra   *extraInfo
}

type extraInfo struct {
	classes  []classCount
	starters []uint32 // plus 1, in order, all of them
}

type classCount struct{ class, count uint32 }

const ports = 1 << 16

func (x *index) init() {
	x.tcp, x.udp = make([]uint32, ports), make([]uint32, ports)
	x.infos = make([]portInfo, 1)
	x.classIDs = map[class]uint32{}
}

// class returns the number of a door's class.
func (x *index) class(d *Door) uint32 {
	c := class{flags: d.Flags}
	if d.Target.IsValid() {
		c.target = d.Target.Unmap().WithZone("")
	}
	id, ok := x.classIDs[c]
	if !ok {
		id = uint32(len(x.classes))
		x.classes = append(x.classes, c)
		x.classIDs[c] = id
	}
	return id
}

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

// find returns what a port means, nil if no door lists it.
func (x *index) find(p packet.Port) *portInfo {
	t := x.table(p.Proto)
	if t == nil || t[p.Number] == 0 {
		return nil
	}
	return &x.infos[t[p.Number]]
}

func (x *index) add(door, class uint32, sequence []packet.Port) {
	for i, p := range sequence {
		info := x.make(p)
		if info == nil {
			continue
		}
		info.addClass(class)
		if i == 0 {
			info.addStarter(door + 1)
		}
	}
}

func (x *index) make(p packet.Port) *portInfo {
	t := x.table(p.Proto)
	if t == nil {
		return nil
	}
	if t[p.Number] == 0 {
		if last := len(x.free) - 1; last >= 0 {
			t[p.Number], x.free = x.free[last], x.free[:last]
		} else {
			t[p.Number] = uint32(len(x.infos))
			x.infos = append(x.infos, portInfo{})
		}
	}
	return &x.infos[t[p.Number]]
}

func (x *index) remove(door, class uint32, sequence []packet.Port) {
	for i, p := range sequence {
		info := x.find(p)
		if info == nil {
			continue
		}
		if i == 0 {
			info.removeStarter(door + 1)
		}
		if info.removeClass(class) {
			t := x.table(p.Proto)
			x.infos[t[p.Number]] = portInfo{}
			x.free = append(x.free, t[p.Number])
			t[p.Number] = 0
		}
	}
}

func (i *portInfo) more() *extraInfo {
	if i.extra == nil {
		i.extra = &extraInfo{}
	}
	return i.extra
}

func (i *portInfo) addClass(c uint32) {
	if i.count == 0 || i.class == c {
		i.class = c
		i.count++
		return
	}
	x := i.more()
	for k := range x.classes {
		if x.classes[k].class == c {
			x.classes[k].count++
			return
		}
	}
	x.classes = append(x.classes, classCount{c, 1})
}

// removeClass reports whether nothing is left of the port.
func (i *portInfo) removeClass(c uint32) bool {
	if i.class == c && i.count > 0 {
		i.count--
	} else if i.extra != nil {
		for k := range i.extra.classes {
			if i.extra.classes[k].class == c {
				i.extra.classes[k].count--
			}
		}
	}
	if i.count > 0 {
		return false
	}
	// Another class takes the place.
	for i.extra != nil && len(i.extra.classes) > 0 {
		next := i.extra.classes[0]
		i.extra.classes = i.extra.classes[1:]
		if next.count > 0 {
			i.class, i.count = next.class, next.count
			return false
		}
	}
	return true
}

func (i *portInfo) addStarter(door uint32) {
	if i.starter == 0 && (i.extra == nil || len(i.extra.starters) == 0) {
		i.starter = door
		return
	}
	x := i.more()
	if len(x.starters) == 0 {
		x.starters = append(x.starters, i.starter)
		i.starter = 0
	}
	at, _ := slices.BinarySearch(x.starters, door)
	x.starters = slices.Insert(x.starters, at, door)
}

func (i *portInfo) removeStarter(door uint32) {
	if i.starter == door {
		i.starter = 0
		return
	}
	if i.extra == nil {
		return
	}
	if at, ok := slices.BinarySearch(i.extra.starters, door); ok {
		i.extra.starters = slices.Delete(i.extra.starters, at, at+1)
	}
}

// starters are the doors, plus 1, that begin here, in order. one is room for a single one.
func (i *portInfo) starters(one *[1]uint32) []uint32 {
	switch {
	case i.starter != 0:
		one[0] = i.starter
		return one[:]
	case i.extra != nil:
		return i.extra.starters
	default:
		return nil
	}
}

func (x *index) bytes() int {
	return 4*(len(x.tcp)+len(x.udp)) + 32*cap(x.infos)
}
