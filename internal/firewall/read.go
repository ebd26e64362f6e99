package firewall

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// state is our table as the kernel has it.
type state struct {
	present bool
	flags   uint32
	handle  uint64
	// owner is the netlink port of the owner, 0 without.
	owner  uint32
	chains []string
	sets   []setFound
}

// setFound is a set, in any table.
type setFound struct {
	place
	flags   uint32
	keyType uint32
	comment string
}

// read asks the kernel for the table, its chains and its sets.
func (s *socket) read(ctx context.Context) (state, error) {
	st, err := s.readTable(ctx)
	if err != nil || !st.present {
		return st, err
	}
	if st.chains, err = s.readChains(ctx); err != nil {
		return st, err
	}
	st.sets, err = s.readSets(ctx, unix.NFPROTO_INET, tableName)
	return st, err
}

func (s *socket) readTable(ctx context.Context) (state, error) {
	var st state
	body := begin(unix.NFPROTO_INET, 0).text(unix.NFTA_TABLE_NAME, tableName)
	answers, err := s.request(ctx, message(unix.NFT_MSG_GETTABLE, 0, body))
	if errors.Is(err, unix.ENOENT) {
		return st, nil
	}
	if err != nil {
		return st, err
	}
	for _, m := range answers {
		st.present = true
		attributes(m, func(kind uint16, value []byte) {
			switch kind {
			case unix.NFTA_TABLE_FLAGS:
				st.flags = toU32(value)
			case tableHandle:
				st.handle = toU64(value)
			case tableOwned:
				st.owner = toU32(value)
			}
		})
	}
	return st, nil
}

// readChains lists the names of the table's chains. The kernel lists all of the family.
func (s *socket) readChains(ctx context.Context) ([]string, error) {
	answers, err := s.dump(ctx, unix.NFT_MSG_GETCHAIN, begin(unix.NFPROTO_INET, 0))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, m := range answers {
		var table, name string
		attributes(m, func(kind uint16, value []byte) {
			switch kind {
			case unix.NFTA_CHAIN_TABLE:
				table = toText(value)
			case unix.NFTA_CHAIN_NAME:
				name = toText(value)
			}
		})
		if table == tableName {
			names = append(names, name)
		}
	}
	return names, nil
}

// readSets lists the sets of a table; that there is no such table is an error for which IsLost is true.
func (s *socket) readSets(ctx context.Context, family byte, table string) ([]setFound, error) {
	answers, err := s.dump(ctx, unix.NFT_MSG_GETSET, begin(family, 0).text(unix.NFTA_SET_TABLE, table))
	if err != nil {
		return nil, err
	}
	sets := make([]setFound, 0, len(answers))
	for _, m := range answers {
		if f := setOf(m); f.table == table {
			sets = append(sets, f)
		}
	}
	return sets, nil
}

func setOf(m netlink.Message) setFound {
	var f setFound
	if len(m.Data) > 0 {
		f.family = m.Data[0]
	}
	attributes(m, func(kind uint16, value []byte) {
		switch kind {
		case unix.NFTA_SET_TABLE:
			f.table = toText(value)
		case unix.NFTA_SET_NAME:
			f.set = toText(value)
		case unix.NFTA_SET_FLAGS:
			f.flags = toU32(value)
		case unix.NFTA_SET_KEY_TYPE:
			f.keyType = toU32(value)
		case unix.NFTA_SET_USERDATA:
			f.comment = commentOf(value)
		}
	})
	return f
}

// commentOf finds the comment among a set's user data: kind, length, value, one after another.
func commentOf(b []byte) string {
	for len(b) >= 2 && len(b) >= 2+int(b[1]) {
		if b[0] == setComment {
			return toText(b[2 : 2+int(b[1])])
		}
		b = b[2+int(b[1]):]
	}
	return ""
}

// onePass is the number of elements up to which one reading of a set is enough: they come in one datagram.
const onePass = 40

// passes bounds the readings of a set.
const passes = 50

// elements lists the elements of a set. The kernel reads a hash table on, datagram by datagram, from the place that it
// had come to, and leaves elements out when the table grows meanwhile, without a word: seen on Linux 6.18, 3,457 of
// 4,096. So a large set is read until two readings on end tell nothing new.
func (s *socket) elements(ctx context.Context, p place) ([]found, error) {
	list, err := s.pass(ctx, p)
	if err != nil || len(list) <= onePass {
		return list, err
	}
	all := map[string]found{}
	quiet := 0
	for range passes {
		before := len(all)
		for _, f := range list {
			all[edgeKey(f)] = f
		}
		if quiet++; len(all) > before {
			quiet = 0
		}
		if quiet == 2 {
			return slices.Collect(maps.Values(all)), nil
		}
		if list, err = s.pass(ctx, p); err != nil {
			return nil, err
		}
	}
	return nil, errInterrupted
}

// edgeKey tells an interval's beginning from the end of another at the same place.
func edgeKey(f found) string {
	if f.end {
		return string(f.key) + "end"
	}
	return string(f.key)
}

// pass reads a set once.
func (s *socket) pass(ctx context.Context, p place) ([]found, error) {
	body := begin(p.family, 0).text(unix.NFTA_SET_ELEM_LIST_TABLE, p.table).text(unix.NFTA_SET_ELEM_LIST_SET, p.set)
	answers, err := s.dump(ctx, unix.NFT_MSG_GETSETELEM, body)
	return elementsOf(answers), err
}

// newest is the generation at work: the last one that has a hook. last is the highest number in use.
func (st *state) newest() (current, last generation) {
	for _, c := range st.chains {
		g, object := generationOf(c)
		last = max(last, g)
		if object == baseName {
			current = max(current, g)
		}
	}
	for _, s := range st.sets {
		g, _ := generationOf(s.set)
		last = max(last, g)
	}
	return current, last
}

// cells are the grants of a generation, with the time that they have left.
func (s *socket) cells(ctx context.Context, st *state, g generation, clock func() time.Duration) ([]*cell, error) {
	var list []*cell
	for _, f := range st.sets {
		l, ok := parseLabel(f.comment)
		if of, _ := generationOf(f.set); of != g || !ok {
			continue
		}
		c := newCell(l.door, l.ports, f.keyType == keyIPv6.id, l.bits)
		c.set = f.set
		if err := s.fill(ctx, c, clock); err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// fill reads the grants of a cell. Their ends are counted from before the question, and what was granted here ends no
// later than is remembered: nobody gets more, though the kernel's timeouts stand still while the machine sleeps and each
// copy of a grant could add a little.
func (s *socket) fill(ctx context.Context, c *cell, clock func() time.Duration) error {
	now := clock()
	elements, err := s.elements(ctx, ours(c.set))
	if err != nil {
		return err
	}
	remembered := c.until
	c.until = make(map[netip.Prefix]time.Duration, len(elements))
	for _, e := range elements {
		p, ok := c.prefixOf(e.key)
		if !ok || !e.timed {
			continue
		}
		c.until[p] = now + e.left
		if until, ok := remembered[p]; ok {
			c.until[p] = min(c.until[p], until)
		}
	}
	return nil
}
