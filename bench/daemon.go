package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"knockd/internal/netlab"
)

// daemon is a running server of knocks.
type daemon struct {
	cmd *netlab.Cmd
	out lockedBuffer
	dir string
	// ready is the time from its start to READY=1, for those that tell.
	ready time.Duration
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write takes output.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

const patience = 60 * time.Second

// startOurs starts our daemon with a configuration, and waits until it is ready.
func (b *bench) startOurs(ctx context.Context, conf string) (*daemon, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "knockd.conf")
	conf = "[options]\n\tInterface = eth0\n\tControl = none\n\tState = none\n" + conf
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	defer func() { _ = notify.Close() }()
	d := &daemon{dir: dir}
	d.cmd = b.pair.Server.Command(ctx, "taskset", append(onDaemonCPU(), b.knockd, "-c", path, "-g", filepath.Join(dir, "log"))...)
	d.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(dir, "notify"))
	d.cmd.Stdout, d.cmd.Stderr = &d.out, &d.out
	began := time.Now()
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	_ = notify.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 4096)
	if _, err := notify.Read(buf); err != nil {
		d.stop()
		return nil, fmt.Errorf("the daemon is not ready: %w\n%s", err, d.out.String())
	}
	d.ready = time.Since(began)
	return d, nil
}

// startReference starts a packaged daemon, and waits until its packet socket is there.
func (b *bench) startReference(ctx context.Context, wait time.Duration, program string, args ...string) (*daemon, error) {
	d := &daemon{}
	d.cmd = b.pair.Server.Command(ctx, "taskset", append(append(onDaemonCPU(), program), args...)...)
	d.cmd.Stdout, d.cmd.Stderr = &d.out, &d.out
	began := time.Now()
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	for !b.hasPacketSocket(ctx) {
		if time.Since(began) > wait || d.cmd.ProcessState != nil {
			d.stop()
			return nil, fmt.Errorf("%s does not capture within %s: %s", program, wait, d.out.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
	d.ready = time.Since(began)
	time.Sleep(200 * time.Millisecond) // its filter follows the socket
	return d, nil
}

func (b *bench) hasPacketSocket(ctx context.Context) bool {
	out, err := b.pair.Server.Command(ctx, "cat", "/proc/net/packet").Output()
	return err == nil && bytes.Count(out, []byte{'\n'}) > 1
}

// The CPUs of the sender and of the daemon.
const (
	senderCPU = 0
	daemonCPU = 1
)

// onDaemonCPU are the arguments of taskset(1): every daemon runs on its CPU from its start on.
func onDaemonCPU() []string { return []string{"-c", strconv.Itoa(daemonCPU)} }

func (d *daemon) pid() int { return d.cmd.Process.Pid }

func (d *daemon) stop() {
	if d == nil {
		return
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	ended := make(chan struct{})
	go func() { _ = d.cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		_ = d.cmd.Process.Kill()
		<-ended
	}
	if d.dir != "" {
		_ = os.RemoveAll(d.dir)
	}
}

// cpu is the processor time used so far (proc(5), utime and stime, in ticks of 10 ms).
func (d *daemon) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.pid()))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, _ := strconv.ParseInt(f, 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// memory is what is resident, and what BPF maps lock beside it, in bytes.
func (d *daemon) memory() (resident, locked int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.pid()))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			resident = n << 10
		}
	}
	infos, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", d.pid()))
	for _, path := range infos {
		text, _ := os.ReadFile(path)
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "memlock:"); ok {
				n, _ := strconv.Atoi(strings.TrimSpace(rest))
				locked += n
			}
		}
	}
	return resident, locked
}

// wakeups is how often its threads went to sleep by themselves so far.
func (d *daemon) wakeups() int {
	total := 0
	paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", d.pid()))
	for _, path := range paths {
		text, _ := os.ReadFile(path)
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
				n, _ := strconv.Atoi(strings.TrimSpace(rest))
				total += n
			}
		}
	}
	return total
}
