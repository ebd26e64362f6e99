package link

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// dumpTries is how often a dump is asked for that changes keep interrupting (NLM_F_DUMP_INTR), before the last answer
// is taken for what it is worth: the changes themselves lead to a new look soon.
const dumpTries = 10

// skipStats spares the counters of each interface, most of the answer (RTEXT_FILTER_SKIP_STATS, linux/rtnetlink.h).
const skipStats = 1 << 3

// snapshot is what the last dumps said, in parts, so that only what changed is asked for again.
type snapshot struct {
	links  []Link
	addrs  map[int][]netip.Addr
	routes []route
}

// refresh asks the kernel for the parts in what.
func (s *snapshot) refresh(c *netlink.Conn, what parts) error {
	if what&linkPart != 0 {
		if err := s.refreshLinks(c); err != nil {
			return err
		}
	}
	if what&addrPart != 0 {
		if err := s.refreshAddrs(c); err != nil {
			return err
		}
	}
	if what&routePart != 0 {
		return s.refreshRoutes(c)
	}
	return nil
}

func (s *snapshot) refreshLinks(c *netlink.Conn) error {
	request := make([]byte, linkSize, linkSize+8)
	request = binary.NativeEndian.AppendUint16(request, 8)
	request = binary.NativeEndian.AppendUint16(request, unix.IFLA_EXT_MASK)
	request = binary.NativeEndian.AppendUint32(request, skipStats)
	messages, err := dump(c, unix.RTM_GETLINK, request)
	if err != nil {
		return fmt.Errorf("listing the interfaces: %w", err)
	}
	s.links = nil
	for _, m := range messages {
		if l, ok := parseLink(m.Data); ok {
			s.links = append(s.links, l)
		}
	}
	slices.SortFunc(s.links, func(a, b Link) int { return cmp.Compare(a.Index, b.Index) })
	return nil
}

func (s *snapshot) refreshAddrs(c *netlink.Conn) error {
	messages, err := dump(c, unix.RTM_GETADDR, make([]byte, addrSize))
	if err != nil {
		return fmt.Errorf("listing the addresses: %w", err)
	}
	s.addrs = map[int][]netip.Addr{}
	for _, m := range messages {
		if a, index, ok := parseAddr(m.Data); ok {
			s.addrs[index] = append(s.addrs[index], a)
		}
	}
	for index, list := range s.addrs {
		slices.SortFunc(list, netip.Addr.Compare)
		s.addrs[index] = slices.Compact(list)
	}
	return nil
}

func (s *snapshot) refreshRoutes(c *netlink.Conn) error {
	s.routes = nil
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		request := make([]byte, routeSize)
		// The kernel heeds the table since 4.20, with strict checks; parseRoute looks again.
		request[routeFamily], request[routeTable] = family, unix.RT_TABLE_MAIN
		messages, err := dump(c, unix.RTM_GETROUTE, request)
		if err != nil {
			return fmt.Errorf("listing the routes: %w", err)
		}
		for _, m := range messages {
			if r, ok := parseRoute(m.Data); ok {
				s.routes = append(s.routes, r)
			}
		}
	}
	return nil
}

// dump returns the answer to a request for a list, asked for again if the list changed while it was being read.
func dump(c *netlink.Conn, kind uint16, request []byte) (messages []netlink.Message, err error) {
	for range dumpTries {
		messages, err = c.Execute(netlink.Message{
			Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request | netlink.Dump},
			Data:   request,
		})
		if err != nil || !slices.ContainsFunc(messages, interrupted) {
			return messages, err
		}
	}
	return messages, nil
}

func interrupted(m netlink.Message) bool { return m.Header.Flags&netlink.DumpInterrupted != 0 }

// state puts the parts together. It shares nothing with s that is changed later.
func (s *snapshot) state() State {
	state := State{Links: slices.Clone(s.links)}
	way := defaultIndex(s.routes)
	for i := range state.Links {
		l := &state.Links[i]
		l.Addrs = s.addrs[l.Index]
		if l.Index == way {
			state.DefaultRoute = l.Name
		}
	}
	return state
}
