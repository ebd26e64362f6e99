package daemon

import (
	"net/netip"
	"testing"
	"time"

	"knockd/internal/firewall"
)

// TestGrantsEndBehindASleep counts when the kernel is asked to end grants: behind the end of each, once the machine slept.
func TestGrantsEndBehindASleep(t *testing.T) {
	var slept time.Duration
	n := &native{fw: &firewall.Kernel{}, work: newWorker(nil), grants: newGrants()}
	n.sleep.asleep = func() time.Duration { return slept }
	d := &Daemon{native: n}
	grant := func(host byte, until time.Duration) {
		n.grants.add(granted{"ssh", netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, host}), 32)}, until, 0)
		d.watchEnd(until)
	}
	grant(1, 20*time.Minute)
	grant(2, 10*time.Minute)
	grant(3, 30*time.Minute)
	asked := func(now time.Duration) int {
		d.agenda.run(now)
		count := len(n.work.tasks)
		for range count {
			<-n.work.tasks
		}
		return count
	}
	if got := asked(11 * time.Minute); got != 0 {
		t.Errorf("asked %d times without a sleep", got)
	}
	slept = 15 * time.Minute
	for _, at := range []struct {
		now  time.Duration
		want int
	}{{19 * time.Minute, 0}, {21 * time.Minute, 1}, {29 * time.Minute, 0}, {31 * time.Minute, 1}, {time.Hour, 0}} {
		if got := asked(at.now); got != at.want {
			t.Errorf("at %v asked %d times, want %d", at.now, got, at.want)
		}
	}
	if len(n.grants.until) != 0 {
		t.Errorf("remembered are %v", n.grants.until)
	}
}
