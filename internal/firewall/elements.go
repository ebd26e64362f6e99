package firewall

import (
	"time"

	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// element is one of a set's, or one edge of an interval.
type element struct {
	key []byte
	// timeout is when it goes by itself, 0 for never.
	timeout time.Duration
	// end marks the first value behind an interval.
	end bool
	// chain is where a map's element sends packets.
	chain string
}

// place is a set by its family, its table and its name.
type place struct {
	family     byte
	table, set string
}

// ours is a set in our own table.
func ours(name string) place { return place{unix.NFPROTO_INET, tableName, name} }

// elementsMost is how many elements a message holds: the length of their list is a number of 16 bits, and what does not
// fit would be lost without an error.
const elementsMost = 500

func addElements(p place, elements []element) []netlink.Message {
	return elementMessages(unix.NFT_MSG_NEWSETELEM, create, p, elements)
}

func delElements(p place, elements []element) []netlink.Message {
	return elementMessages(unix.NFT_MSG_DELSETELEM, 0, p, elements)
}

func elementMessages(kind int, flags netlink.HeaderFlags, p place, elements []element) []netlink.Message {
	messages := make([]netlink.Message, 0, len(elements)/elementsMost+1)
	for len(elements) > 0 {
		n := min(len(elements), elementsMost)
		messages = append(messages, elementMessage(kind, flags, p, elements[:n]))
		elements = elements[n:]
	}
	return messages
}

func elementMessage(kind int, flags netlink.HeaderFlags, p place, elements []element) netlink.Message {
	body := make(attrs, 0, 32+len(p.table)+len(p.set)+len(elements)*64)
	body = append(body, p.family, unix.NFNETLINK_V0, 0, 0)
	body = body.text(unix.NFTA_SET_ELEM_LIST_TABLE, p.table).text(unix.NFTA_SET_ELEM_LIST_SET, p.set)
	body, at := body.open(unix.NFTA_SET_ELEM_LIST_ELEMENTS)
	for _, e := range elements {
		body = body.element(e, kind == unix.NFT_MSG_NEWSETELEM)
	}
	return message(kind, flags, body.end(at))
}

// element writes one element; what a deletion does not look at is left out.
func (a attrs) element(e element, whole bool) attrs {
	a, at := a.open(unix.NFTA_LIST_ELEM)
	a, key := a.open(unix.NFTA_SET_ELEM_KEY)
	a = a.bytes(unix.NFTA_DATA_VALUE, e.key).end(key)
	if e.end {
		a = a.u32(unix.NFTA_SET_ELEM_FLAGS, unix.NFT_SET_ELEM_INTERVAL_END)
	}
	if whole && e.timeout > 0 {
		a = a.u64(unix.NFTA_SET_ELEM_TIMEOUT, uint64(max(e.timeout.Milliseconds(), 1)))
	}
	if whole && e.chain != "" {
		a = a.verdict(e.chain)
	}
	return a.end(at)
}

// verdict writes a map's value: goto chain.
func (a attrs) verdict(chain string) attrs {
	a, data := a.open(unix.NFTA_SET_ELEM_DATA)
	a, verdict := a.open(unix.NFTA_DATA_VERDICT)
	kind := int32(expr.VerdictGoto)
	a = a.u32(unix.NFTA_VERDICT_CODE, uint32(kind)).text(unix.NFTA_VERDICT_CHAIN, chain)
	return a.end(verdict).end(data)
}

// found is an element as a dump tells it.
type found struct {
	key, keyEnd []byte
	end         bool
	// timed is whether it goes by itself, left when.
	timed         bool
	timeout, left time.Duration
	chain         string
}

// elementsOf reads the elements out of the messages of a dump.
func elementsOf(messages []netlink.Message) []found {
	var list []found
	for _, m := range messages {
		attributes(m, func(kind uint16, value []byte) {
			if kind == unix.NFTA_SET_ELEM_LIST_ELEMENTS {
				decode(value, func(_ uint16, value []byte) { list = append(list, elementOf(value)) })
			}
		})
	}
	return list
}

// setElemKeyEnd is NFTA_SET_ELEM_KEY_END, which x/sys/unix lacks.
const setElemKeyEnd = 10

func elementOf(b []byte) found {
	var f found
	decode(b, func(kind uint16, value []byte) {
		switch kind {
		case unix.NFTA_SET_ELEM_KEY:
			f.key = valueOf(value)
		case setElemKeyEnd:
			f.keyEnd = valueOf(value)
		case unix.NFTA_SET_ELEM_FLAGS:
			f.end = toU32(value)&unix.NFT_SET_ELEM_INTERVAL_END != 0
		case unix.NFTA_SET_ELEM_TIMEOUT:
			f.timed, f.timeout = true, milliseconds(value)
		case unix.NFTA_SET_ELEM_EXPIRATION:
			f.left = milliseconds(value)
		case unix.NFTA_SET_ELEM_DATA:
			f.chain = chainOf(value)
		}
	})
	return f
}

func milliseconds(b []byte) time.Duration { return time.Duration(toU64(b)) * time.Millisecond }

func valueOf(b []byte) (v []byte) {
	decode(b, func(kind uint16, value []byte) {
		if kind == unix.NFTA_DATA_VALUE {
			v = value
		}
	})
	return v
}

// chainOf is the chain of a map's verdict.
func chainOf(b []byte) (name string) {
	decode(b, func(kind uint16, value []byte) {
		if kind == unix.NFTA_DATA_VERDICT {
			decode(value, func(kind uint16, value []byte) {
				if kind == unix.NFTA_VERDICT_CHAIN {
					name = toText(value)
				}
			})
		}
	})
	return name
}
