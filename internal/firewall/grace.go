package firewall

import (
	"time"

	"golang.org/x/sys/unix"
)

// graceSleep stands in for membarrier(2) where the kernel refuses it: far longer than a packet is on its way between two
// hooks of one point.
const graceSleep = 100 * time.Millisecond

// grace waits until every packet that is on its way through the hooks now has left them. They run within RCU
// read-side sections, and MEMBARRIER_CMD_GLOBAL waits for all of these (synchronize_rcu in kernel/sched/membarrier.c);
// it is refused on machines with nohz_full.
func grace() {
	const global = 1 // MEMBARRIER_CMD_GLOBAL
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, global, 0, 0); errno != 0 {
		time.Sleep(graceSleep)
	}
}
