package knock

import "slices"

// portInfo is what the doors that list a port come to. Nearly every port has one class and at most one door that begins
// with it: these stand here, and only the others in extra.
type portInfo struct {
	class, count uint32
	// starter is the door whose sequence begins here, plus 1; 0 is none.
	starter uint32
	// signature is what a stranger's packet begins; 0: not yet known.
	signature uint32
	extra     *extraInfo
}

type extraInfo struct {
	classes  []classCount
	starters []uint32 // plus 1, in order, all of them
}

type classCount struct{ class, count uint32 }

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
