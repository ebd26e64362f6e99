package capture

import (
	"golang.org/x/sys/unix"

	"knockd/internal/config"
	"knockd/internal/filter"
)

// Interface is an interface as the kernel knows it now.
type Interface struct {
	Name  string
	Index int
}

// Want is everything that capture needs to be told.
type Want struct {
	// Any captures from every interface, and Interfaces is ignored.
	Any bool
	// Interfaces are those that exist; one that is down is captured from once it is up.
	Interfaces []Interface
	Spec       filter.Spec
	Backend    config.Backend
	// FloodThreshold is the number of new sources a second above which first knocks may be held back in the kernel
	// (eBPF only); 0: always.
	FloodThreshold int
}

// anyName stands for every interface, as in the Interface directive.
const anyName = "any"

// taps are the places to listen at. For "any" it is one socket for each network protocol, since ETH_P_ALL without an
// interface delivers a bridged packet twice.
func (w *Want) taps() []tap {
	if w.Any {
		return []tap{
			{name: anyName, protocol: unix.ETH_P_IP},
			{name: anyName, protocol: unix.ETH_P_IPV6},
		}
	}
	taps := make([]tap, 0, len(w.Interfaces))
	for _, i := range w.Interfaces {
		taps = append(taps, tap{name: i.Name, index: i.Index, protocol: unix.ETH_P_ALL})
	}
	return taps
}

// rules are what the backend is told. A named interface leaves the frames of its VLANs to the VLANs' own interfaces;
// at "any" the kernel has sorted them by then.
func (w *Want) rules() rules {
	r := rules{spec: w.Spec, floodThreshold: w.FloodThreshold}
	r.spec.NoVLAN = !w.Any
	return r
}
