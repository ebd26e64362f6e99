package daemon

import (
	"net/netip"
	"slices"
	"strings"

	"knockd/internal/link"
)

// The words of the Interface directive that are no names.
const (
	anyInterface     = "any"
	defaultInterface = "default"
)

// wanted is what the Interface directive and -i come to on this machine, now.
type wanted struct {
	any bool
	// present are the interfaces to listen on; missing the names that no interface has.
	present []link.Link
	missing []string
}

// resolve applies names to the interfaces that there are. Without a name it is eth0 if there is one, else the
// interface of the default route.
func resolve(names []string, state link.State) wanted {
	if len(names) == 0 {
		names = []string{defaultInterface}
		if byName(state, "eth0") != nil {
			names = []string{"eth0"}
		}
	}
	var w wanted
	for _, name := range names {
		if name == anyInterface {
			return wanted{any: true}
		}
		w.add(name, state)
	}
	return w
}

func (w *wanted) add(name string, state link.State) {
	look := name
	if name == defaultInterface {
		look = state.DefaultRoute
	}
	l := byName(state, look)
	switch {
	case l == nil && name == defaultInterface:
		w.missing = append(w.missing, "the default route's interface")
	case l == nil:
		w.missing = append(w.missing, name)
	case !slices.ContainsFunc(w.present, func(have link.Link) bool { return have.Index == l.Index }):
		w.present = append(w.present, *l)
	}
}

// names is the log's word for what is listened on.
func (w *wanted) names() string {
	if w.any {
		return anyInterface
	}
	var names []string
	for _, l := range w.present {
		names = append(names, l.Name)
	}
	return strings.Join(names, ",")
}

func byName(state link.State, name string) *link.Link {
	i := slices.IndexFunc(state.Links, func(l link.Link) bool { return l.Name == name })
	if name == "" || i < 0 {
		return nil
	}
	return &state.Links[i]
}

// presentNames lists every interface, for a person who looks for the one that is missing.
func presentNames(state link.State) string {
	var names []string
	for _, l := range state.Links {
		names = append(names, l.Name)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// ownAddresses are the addresses that a knock may go to: every one of this machine, 127.0.0.1 and its like only where
// the loopback interface is listened on (from the wire they can't be real).
func ownAddresses(state link.State, w wanted, onlyV4 bool) []netip.Addr {
	loopback := w.any || slices.ContainsFunc(w.present, func(l link.Link) bool { return l.Loopback })
	var own []netip.Addr
	for _, l := range state.Links {
		for _, addr := range l.Addrs {
			addr = addr.WithZone("")
			if addr.IsLoopback() && !loopback || onlyV4 && !addr.Is4() {
				continue
			}
			own = append(own, addr)
		}
	}
	slices.SortFunc(own, netip.Addr.Compare)
	return slices.Compact(own)
}
