package command

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

// processOneEnv tells the test program that it is process 1 of a PID namespace.
const processOneEnv = "KNOCKD_TEST_PROCESS_ONE"

// TestProcessOneWaitsForOrphans runs commands as process 1, as in a container without an init.
func TestProcessOneWaitsForOrphans(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), processOneEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if text := string(out); strings.HasPrefix(text, denied) {
		netlabtest.Check(t, &netlab.Unsupported{What: "mounting proc", Err: fmt.Errorf("%s", text)})
	}
	if cmd.ProcessState == nil {
		netlabtest.Check(t, &netlab.Unsupported{What: "making a PID namespace", Err: err})
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// denied begins the answer where proc(5) can't be mounted.
const denied = "denied: "

func processOne() int {
	err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	if err == nil {
		err = syscall.Mount("proc", "/proc", "proc", 0, "")
	}
	if err != nil {
		fmt.Print(denied, err)
		return 1
	}
	r := NewRunner(4)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { _ = r.Run(ctx) }()
	// Each leaves a process that ends when its parent is gone.
	const jobs = 20
	for i := range jobs {
		if err := r.Submit(job(i, EventStart, "(while kill -0 $$ 2>/dev/null; do :; done) & exit 3")); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	for range jobs {
		if out := <-r.Outcomes(); out.Status != 3 || out.Err != nil {
			fmt.Printf("somebody else waited for a command: %+v\n", out)
			return 1
		}
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		left := children()
		if len(left) == 0 {
			return 0
		}
		if time.Now().After(deadline) {
			fmt.Printf("left behind: %v\n", left)
			return 1
		}
	}
}

// children are those of process 1, which are to be gone.
func children() []int {
	var pids []int
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if s, ok := readStat("/proc/" + e.Name() + "/stat"); ok && s.parent == 1 {
			pids = append(pids, s.pid)
		}
	}
	return pids
}
