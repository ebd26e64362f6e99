package daemontest

import (
	"encoding/json"
	"os"
	"strconv"
	"testing"

	"knockd/internal/control"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

// Status asks a daemon by its control socket, which the namespace does not matter to.
func (d *Daemon) Status(n *netlab.Namespace) control.Status {
	d.t.Helper()
	var status control.Status
	text := netlabtest.Run(d.t, n, "knockd", "status", "--json", "-c", d.Config)
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		d.t.Fatalf("%v: %s", err, text)
	}
	return status
}

// Usage is what a process holds: resident memory in bytes, open files, threads.
type Usage struct{ Resident, Descriptors, Threads int }

// Usage tells what the daemon holds.
func (d *Daemon) Usage() Usage {
	d.t.Helper()
	tasks, err := os.ReadDir("/proc/" + strconv.Itoa(d.Pid()) + "/task")
	netlabtest.Check(d.t, err)
	return Usage{Resident(d.t, d.Pid()), Descriptors(d.t, d.Pid()), len(tasks)}
}

// threadSlack is how many threads may come: one that a system call holds is made as the machine is busy, and kept. Their
// number has a bound, not a value.
const threadSlack = 8

// SameUsage waits until the daemon has no more open files than before, and fails the test if its resident memory grew by
// more than slack bytes, which the garbage collector may use, or its threads by more than a few.
func (d *Daemon) SameUsage(t testing.TB, before Usage, slack int) {
	t.Helper()
	var now Usage
	Eventually(t, "descriptors as before", func() bool {
		now = d.Usage()
		return now.Descriptors <= before.Descriptors
	})
	t.Logf("before %+v, after %+v", before, now)
	if now.Resident > before.Resident+slack {
		t.Errorf("resident memory grew from %d to %d", before.Resident, now.Resident)
	}
	if now.Threads > before.Threads+threadSlack {
		t.Errorf("threads grew from %d to %d", before.Threads, now.Threads)
	}
}
