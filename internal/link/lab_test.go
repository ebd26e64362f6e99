package link

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

func TestMain(m *testing.M) { netlabtest.Main(m) }

// patience bounds every wait; a loaded machine may be ten times slower than this one.
const patience = 30 * time.Second

// lab is a Watcher that runs in a namespace.
type lab struct {
	t       *testing.T
	watcher *Watcher
	last    State
}

// newLab watches a namespace until the end of the test, with a receive buffer of buffer bytes (0: the kernel's choice).
func newLab(t *testing.T, n *netlab.Namespace, buffer int) *lab {
	t.Helper()
	l := &lab{t: t}
	netlabtest.Check(t, n.Do(func() (err error) {
		l.watcher, err = open(buffer)
		return err
	}))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := n.Do(func() error { return l.watcher.Run(ctx) }); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return l
}

// await waits for a state that satisfies the condition.
func (l *lab) await(what string, condition func(State) bool) State {
	l.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case l.last = <-l.watcher.States():
			if condition(l.last) {
				return l.last
			}
		case <-deadline:
			l.t.Fatalf("waited in vain for: %s; the last state: %+v", what, l.last)
		}
	}
}

// find returns an interface by name, the zero Link if there is none.
func (s State) find(name string) Link {
	if i := slices.IndexFunc(s.Links, func(l Link) bool { return l.Name == name }); i >= 0 {
		return s.Links[i]
	}
	return Link{}
}

func (l Link) has(addr string) bool { return slices.Contains(l.Addrs, netip.MustParseAddr(addr)) }

// veth makes a pair of interfaces in a namespace, both up.
func veth(t *testing.T, n *netlab.Namespace, name, peer string) {
	t.Helper()
	netlabtest.Check(t, netlab.Veth(n, name, n, peer))
	netlabtest.Check(t, netlab.SetUp(n, name))
	netlabtest.Check(t, netlab.SetUp(n, peer))
}
