package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/flood"
	"knockd/internal/netlab"
	"knockd/internal/packet"
)

// bench is one run.
type bench struct {
	quick         bool
	only          []string
	pair          *netlab.Pair
	knockd, knock string
	used          int
	report        report
	// reference is knockd 0.8's time to open on an idle machine.
	reference sample
}

func newBench(quick bool, only []string) (*bench, error) {
	b := &bench{quick: quick, only: only, report: report{Machine: describe(context.Background())}}
	for name, path := range map[string]*string{"knockd": &b.knockd, "knock": &b.knock} {
		abs, err := filepath.Abs(filepath.Join("bin", name))
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(abs); err != nil {
			return nil, fmt.Errorf("run make build first: %w", err)
		}
		*path = abs
	}
	return b, b.lab()
}

// lab is a pair of namespaces, with many addresses at the client.
func (b *bench) lab() (err error) {
	if b.pair, err = netlab.NewPair(); err != nil {
		return err
	}
	b.used = 0
	for n := range addresses {
		ip := netip.AddrFrom4([4]byte{10, 0, byte(16 + n/250), byte(1 + n%250)})
		if err := netlab.AddAddr(b.pair.Client, netlab.Interface, netip.PrefixFrom(ip, 32)); err != nil {
			return err
		}
		if err := netlab.AddNeighbour(b.pair.Server, netlab.Interface, ip, b.pair.ClientMAC); err != nil {
			return err
		}
	}
	// Answers to the forged sources end here: in the world they would leave, and cost this machine no more.
	if out, err := b.pair.Server.Command(context.Background(), "ip", "route", "add", "blackhole", "0.0.0.0/1").CombinedOutput(); err != nil {
		return fmt.Errorf("ip route: %w: %s", err, out)
	}
	return b.answer()
}

// times is how often something is repeated.
func (b *bench) times(n int) int {
	if b.quick {
		return max(n/10, 3)
	}
	return n
}

// all runs every measurement. One that fails is said, and fails the run; the others go on.
func (b *bench) all(ctx context.Context) {
	for _, m := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"reference: last knock to open door", b.referenceLatency},
		{"fwknopd: packet to open door", b.fwknopLatency},
		{"last knock to open door", b.oursLatency},
		{"floods, ebpf", func(ctx context.Context) error { return b.floods(ctx, "ebpf") }},
		{"floods, classic", func(ctx context.Context) error { return b.floods(ctx, "classic") }},
		{"reloads in a flood", b.reloadsInFlood},
		{"flood: the reference", b.referenceFlood},
		{"memory: 10 million sources, ebpf", func(ctx context.Context) error { return b.memoryInFlood(ctx, "ebpf") }},
		{"memory: 10 million sources, classic", func(ctx context.Context) error { return b.memoryInFlood(ctx, "classic") }},
		{"doors: 20,000", b.manyDoors},
		{"doors: the reference", b.referenceDoors},
		{"idle", b.idle},
		{"packet in no door", b.noDoor},
		{"knock: start to last packet", b.client},
	} {
		wanted := func(part string) bool { return strings.Contains(m.name, part) }
		if len(b.only) > 0 && !slices.ContainsFunc(b.only, wanted) || ctx.Err() != nil {
			continue
		}
		if err := m.run(ctx); err != nil {
			b.broken(m.name, err)
		}
	}
}

// iptables sets the reference's firewall: the guarded port is dropped, but for rules that are put before.
func (b *bench) iptables(ctx context.Context) error {
	for _, args := range [][]string{{"-F", "INPUT"}, {"-A", "INPUT", "-p", "udp", "--dport", strconv.Itoa(guarded), "-j", "DROP"}} {
		if out, err := b.pair.Server.Command(ctx, "iptables", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("iptables %q: %w: %s", args, err, out)
		}
	}
	return nil
}

func (b *bench) flush(ctx context.Context) {
	_ = b.pair.Server.Command(ctx, "nft", "flush", "ruleset").Run()
}

func (b *bench) knockd08(ctx context.Context, conf string, wait time.Duration) (*daemon, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "knockd.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	d, err := b.startReference(ctx, wait, "/usr/sbin/knockd", "-c", path, "-i", "eth0")
	if d != nil {
		d.dir = dir
	}
	return d, err
}

func (b *bench) referenceLatency(ctx context.Context) error {
	defer b.flush(ctx)
	if err := b.iptables(ctx); err != nil {
		return err
	}
	d, err := b.knockd08(ctx, knockdConf, patience)
	if err != nil {
		return err
	}
	defer d.stop()
	s, err := b.latencies(ctx, b.times(100), 10*time.Millisecond)
	if err != nil {
		return err
	}
	b.reference = s
	b.add(result{
		Name: "knockd 0.8, iptables -I: last knock to open, median (99th percentile)", Value: float64(s.median()),
		Ours: "-", Reference: fmt.Sprintf("%s (%s), best %s", ms(s.median()), ms(s.at(0.99)), ms(s.at(0))),
	}, nil)
	return nil
}

var errNoReference = errors.New("the reference was not measured in this run")

func (b *bench) oursLatency(ctx context.Context) error {
	if len(b.reference) == 0 {
		return errNoReference
	}
	d, err := b.startOurs(ctx, native)
	if err != nil {
		return err
	}
	defer d.stop()
	s, err := b.latencies(ctx, b.times(1000), 2*time.Millisecond)
	if err != nil {
		return err
	}
	b.latencyResults("idle", s, 200, 50)
	best := b.reference.at(0)
	b.add(result{
		Name: "99th percentile against the reference's best", Value: float64(s.at(0.99)), Ours: ms(s.at(0.99)),
		Reference: ms(best), Bar: "faster",
	}, func(v float64) bool { return v < float64(best) })
	return nil
}

// latencyResults holds a median and a 99th percentile against parts of the reference's median.
func (b *bench) latencyResults(when string, s sample, median, worst float64) {
	reference := b.reference.median()
	for _, r := range []struct {
		name string
		got  time.Duration
		part float64
	}{{"median", s.median(), median}, {"99th percentile", s.at(0.99), worst}} {
		limit := float64(reference) / r.part
		b.add(result{
			Name: fmt.Sprintf("last knock to open, native door, %s: %s of %d", when, r.name, len(s)),
			Ours: fmt.Sprintf("%s, 1/%.0f", ms(r.got), float64(reference)/float64(r.got)), Spread: s.spread(), Value: float64(r.got),
			Reference: ms(reference), Bar: fmt.Sprintf("1/%.0f of the reference's idle median, %s", r.part, ms(time.Duration(limit))),
		}, func(v float64) bool { return v <= limit })
	}
}

// underFlood runs something while a flood runs, and returns what the daemon used of a CPU and how fast the sender was.
func (b *bench) underFlood(ctx context.Context, d *daemon, kind flood.Kind, rate uint64, run func() error) (cpu, pps float64, err error) {
	f, err := flood.New(b.pair, kind, knockPorts)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = f.Close() }()
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, senderCPU, rate, 0) }()
	time.Sleep(time.Second)
	began, used, sent := time.Now(), d.cpu(), f.Sent()
	err = run()
	took := time.Since(began).Seconds()
	cpu, pps = (d.cpu()-used).Seconds()/took, float64(f.Sent()-sent)/took
	cancel()
	return cpu, pps, errors.Join(err, <-done)
}

// knocksInFlood knocks while a flood runs, after before has been called with the number of the knock, and returns the times of
// the knocks that opened.
func (b *bench) knocksInFlood(ctx context.Context, d *daemon, kind flood.Kind, rate uint64, knocks int, before func(int) error) (s sample, cpu, pps float64, err error) {
	p, err := b.newProber(false)
	if err != nil {
		return nil, 0, 0, err
	}
	defer p.close()
	cpu, pps, err = b.underFlood(ctx, d, kind, rate, func() error {
		for i := range knocks {
			if err := before(i); err != nil {
				return err
			}
			took, err := p.open(ctx, 50*time.Millisecond, 2*time.Second)
			switch {
			case err == nil:
				s = append(s, took)
			case !errors.Is(err, errShut):
				return err
			}
		}
		return nil
	})
	return s, cpu, pps, err
}

func (b *bench) floods(ctx context.Context, backend string) error {
	for _, kind := range []flood.Kind{flood.Once, flood.Twice, flood.Ports} {
		if err := b.oneFlood(ctx, backend, kind); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	return nil
}

func (b *bench) oneFlood(ctx context.Context, backend string, kind flood.Kind) error {
	d, err := b.startOurs(ctx, "\tCapture = "+backend+"\n"+native)
	if err != nil {
		return err
	}
	defer d.stop()
	knocks := b.times(50)
	s, cpu, pps, err := b.knocksInFlood(ctx, d, kind, 0, knocks, func(int) error { return nil })
	if err != nil {
		return err
	}
	what := fmt.Sprintf("flood, %s, %s (%.0f,000 packets/s)", backend, kind, pps/1000)
	b.add(result{
		Name: what + ": knocks that open", Ours: fmt.Sprintf("%d of %d", len(s), knocks), Value: float64(len(s)),
		Bar: fmt.Sprintf("%d of %d", knocks, knocks),
	}, func(v float64) bool { return int(v) == knocks })
	limit := 0.6
	if backend == "ebpf" && kind == flood.Once {
		limit = 0.03
	}
	b.add(result{
		Name: what + ": daemon's CPU", Ours: fmt.Sprintf("%.1f %% of a core", 100*cpu), Value: cpu, Bar: fmt.Sprintf("%.0f %%", 100*limit),
	}, func(v float64) bool { return v <= limit })
	if kind == flood.Once && len(b.reference) > 0 && len(s) > 0 {
		b.latencyResults("during the flood, "+backend, s, 20, 2)
	}
	return nil
}

// reloadsInFlood reloads 20,000 doors again and again while a flood runs that the daemon must look at.
func (b *bench) reloadsInFlood(ctx context.Context) error {
	d, err := b.startOurs(ctx, "\tCapture = classic\n"+native+doors(20000-1))
	if err != nil {
		return err
	}
	defer d.stop()
	knocks := b.times(50)
	s, _, pps, err := b.knocksInFlood(ctx, d, flood.Once, 0, knocks, func(i int) error {
		if i%5 != 0 {
			return nil
		}
		return d.cmd.Process.Signal(syscall.SIGHUP) // some two a second
	})
	if err != nil {
		return err
	}
	b.add(result{
		Name:   fmt.Sprintf("flood, classic, %.0f,000 packets/s, beside reloads of 20,000 doors: knocks that open", pps/1000),
		Ours:   fmt.Sprintf("%d of %d, after %s", len(s), knocks, ms(s.median())),
		Spread: s.spread(), Value: float64(len(s)), Bar: fmt.Sprintf("%d of %d", knocks, knocks),
	}, func(v float64) bool { return int(v) == knocks })
	return nil
}

func (b *bench) referenceFlood(ctx context.Context) error {
	defer b.flush(ctx)
	if err := b.iptables(ctx); err != nil {
		return err
	}
	d, err := b.knockd08(ctx, knockdConf, patience)
	if err != nil {
		return err
	}
	defer d.stop()
	knocks := b.times(10)
	s, cpu, pps, err := b.knocksInFlood(ctx, d, flood.Once, 20000, knocks, func(int) error { return nil })
	if err != nil {
		return err
	}
	b.add(result{
		Name: fmt.Sprintf("flood, knockd 0.8, every packet from a new source (%.0f,000 packets/s)", pps/1000), Ours: "-",
		Reference: fmt.Sprintf("%d of %d open, %.0f %% of a core", len(s), knocks, 100*cpu),
	}, nil)
	return nil
}

// memoryInFlood looks at the memory while ten million strangers come by: at one million, and at the end.
func (b *bench) memoryInFlood(ctx context.Context, backend string) error {
	d, err := b.startOurs(ctx, "\tCapture = "+backend+"\n"+native)
	if err != nil {
		return err
	}
	defer d.stop()
	f, err := flood.New(b.pair, flood.Once, knockPorts)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	sources := uint64(b.times(10_000_000))
	most, early := 0, 0
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, senderCPU, 0, sources) }()
	for running := true; running; {
		select {
		case err = <-done:
			running = false
		case <-time.After(200 * time.Millisecond):
		}
		resident, locked := d.memory()
		most = max(most, resident+locked)
		if f.Sent() < sources/5 {
			early = most
		}
	}
	if err != nil {
		return err
	}
	resident, locked := d.memory()
	b.add(result{
		Name: fmt.Sprintf("memory in a flood of %d million sources, %s", sources/1_000_000, backend), Value: float64(most),
		Ours: fmt.Sprintf("%.1f MB at most (%.1f resident, %.1f in maps at the end; %.1f after a fifth)", mb(most), mb(resident), mb(locked), mb(early)),
		Bar:  "48 MB, resident and locked",
	}, func(v float64) bool { return v <= 48e6 })
	return nil
}

func mb(n int) float64 { return float64(n) / 1e6 }

// doors writes so many doors with commands, of random ports.
func doors(n int) string {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "[door%d]\n\tsequence = %d,%d,%d\n\tseq_timeout = 25\n\tcommand = true\n", i, port(r), port(r), port(r))
	}
	return text.String()
}

// port draws one that is not of the measured door.
func port(r *rand.Rand) int {
	for {
		p := 1024 + r.IntN(64000)
		if p != 7000 && p != 8000 && p != 9000 {
			return p
		}
	}
}

// manyDoors measures one door and 20,000 in turn, so that what the machine does meanwhile meets both.
func (b *bench) manyDoors(ctx context.Context) error {
	const many = 20000
	var starts, alone, among sample
	var ratios []float64
	resident, locked := 0, 0
	for range b.times(25) {
		_, one, err := b.round(ctx, native)
		if err != nil {
			return err
		}
		d, all, err := b.round(ctx, native+doors(many-1))
		if err != nil {
			return err
		}
		starts, alone, among = append(starts, d.ready), append(alone, one...), append(among, all...)
		ratios = append(ratios, float64(all.median())/float64(one.median()))
		resident, locked = max(resident, d.resident), max(locked, d.locked)
	}
	b.add(result{
		Name: "start-up with 20,000 doors", Ours: ms(starts.median()), Spread: starts.spread(), Value: float64(starts.median()), Bar: "300 ms",
	}, func(v float64) bool { return v <= 0.3e9 })
	b.add(result{
		Name: "memory with 20,000 doors", Ours: fmt.Sprintf("%.1f MB resident, and %.1f in maps", mb(resident), mb(locked)),
		Value: float64(resident), Bar: "40 MB resident",
	}, func(v float64) bool { return v <= 40e6 })
	slices.Sort(ratios)
	ratio := ratios[len(ratios)/2]
	b.add(result{
		Name: "last knock to open with 20,000 doors against 1, rounds in turn",
		Ours: fmt.Sprintf("%.2f times (%s against %s over all)", ratio, ms(among.median()), ms(alone.median())), Spread: among.spread(),
		Value: ratio, Bar: "1.1 times",
	}, func(v float64) bool { return v <= 1.1 })
	return nil
}

// started is what a daemon was seen to take.
type started struct {
	ready            time.Duration
	resident, locked int
}

// round starts a daemon, lets it settle, looks at it and measures knocks.
func (b *bench) round(ctx context.Context, conf string) (started, sample, error) {
	d, err := b.startOurs(ctx, conf)
	if err != nil {
		return started{}, nil, err
	}
	defer d.stop()
	time.Sleep(500 * time.Millisecond) // what reading the file took is given back by then
	seen := started{ready: d.ready}
	seen.resident, seen.locked = d.memory()
	s, err := b.latencies(ctx, 40, 2*time.Millisecond)
	return seen, s, err
}

func (b *bench) referenceDoors(ctx context.Context) error {
	d, err := b.knockd08(ctx, "[options]\n\tInterface = eth0\n"+doors(500), patience)
	if err != nil {
		return err
	}
	defer d.stop()
	resident, _ := d.memory()
	b.add(result{
		Name: "knockd 0.8 with 500 doors: start to packet socket", Ours: "-", Reference: fmt.Sprintf("%s, %.1f MB", ms(d.ready), mb(resident)),
	}, nil)
	return nil
}

func (b *bench) idle(ctx context.Context) error {
	d, err := b.startOurs(ctx, native)
	if err != nil {
		return err
	}
	defer d.stop()
	time.Sleep(5 * time.Second)
	length := time.Duration(b.times(60)) * time.Second
	before := d.wakeups()
	time.Sleep(length)
	perMinute := float64(d.wakeups()-before) * 60 / length.Seconds()
	resident, _ := d.memory()
	b.add(result{Name: "idle: resident memory", Ours: fmt.Sprintf("%.1f MB", mb(resident)), Value: float64(resident), Bar: "14 MB"},
		func(v float64) bool { return v <= 14e6 })
	b.add(result{Name: "idle: wake-ups a minute", Ours: fmt.Sprintf("%.0f", perMinute), Value: perMinute, Bar: "30"},
		func(v float64) bool { return v <= 30 })
	return nil
}

var noDoorLine = regexp.MustCompile(`BenchmarkNoDoor\S*\s+\d+\s+([\d.]+) ns/op\s+([\d.]+) facility-ns\s+([\d.]+) total-ns`)

// noDoor asks the kernel's test-run facility, through the benchmark of package capture: what the program costs is what the
// facility shows, less what it shows for a program that does nothing.
func (b *bench) noDoor(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "xxx", "-bench", "BenchmarkNoDoor", "-count", "5", "./internal/capture")
	// It makes its own laboratory.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "NETLAB") })
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	var own, facility, total []float64
	for _, m := range noDoorLine.FindAllStringSubmatch(string(out), -1) {
		for i, list := range []*[]float64{&own, &facility, &total} {
			ns, err := strconv.ParseFloat(m[i+1], 64)
			if err != nil {
				return err
			}
			*list = append(*list, ns)
		}
	}
	if len(own) == 0 {
		return fmt.Errorf("no result in %s", out)
	}
	for _, list := range [][]float64{own, facility, total} {
		slices.Sort(list)
	}
	middle := len(own) / 2
	b.add(result{
		Name: "eBPF program, test-run: a packet that is in no door", Value: own[middle], Bar: "40 ns",
		Ours:   fmt.Sprintf("%.0f ns (the facility shows %.0f, and %.0f for an empty program)", own[middle], total[middle], facility[middle]),
		Spread: fmt.Sprintf("%.0f - %.0f ns", own[0], own[len(own)-1]),
	}, func(v float64) bool { return v <= 40 })
	return nil
}

// client measures the client: from before its start to its last packet at the server.
func (b *bench) client(ctx context.Context) error {
	ours, err := b.clientTimes(ctx, b.knock)
	if err != nil {
		return err
	}
	reference, err := b.clientTimes(ctx, "/usr/bin/knock")
	if err != nil {
		return err
	}
	b.add(result{
		Name: "knock: start to last packet of 3", Ours: ms(ours.median()), Spread: ours.spread(), Reference: ms(reference.median()),
		Value: float64(ours.median()), Bar: "2 ms",
	}, func(v float64) bool { return v <= 2e6 })
	return nil
}

func (b *bench) clientTimes(ctx context.Context, program string) (sample, error) {
	var fd int
	if err := b.pair.Server.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_IP)))
		return err
	}); err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	timeout := unix.NsecToTimeval(int64(5 * time.Second))
	if err := errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)); err != nil {
		return nil, err
	}
	var s sample
	for range b.times(200) {
		began := time.Now()
		cmd := b.pair.Client.Command(ctx, program, "10.0.0.1", "7000", "9000", "8000")
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		at, err := arrival(fd, 8000)
		if err = errors.Join(err, cmd.Wait()); err != nil {
			return nil, err
		}
		s = append(s, at.Sub(began))
	}
	return s, nil
}

// arrival waits for a SYN to a port, and returns when the kernel received it.
func arrival(fd int, port uint16) (time.Time, error) {
	buf, oob := make([]byte, 2048), make([]byte, 256)
	for {
		n, oobn, _, _, err := unix.Recvmsg(fd, buf, oob, 0)
		if errors.Is(err, unix.EINTR) {
			continue // with a time limit it is not begun again by itself (signal(7))
		}
		if err != nil {
			return time.Time{}, err
		}
		var p packet.Packet
		if packet.Parse(buf[:n], &p) != nil || p.Port.Number != port || p.Flags != packet.SYN {
			continue
		}
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			return time.Time{}, err
		}
		for _, m := range messages {
			if m.Header.Type == unix.SCM_TIMESTAMPNS {
				sec, nsec := int64(native64(m.Data)), int64(native64(m.Data[8:]))
				return time.Unix(sec, nsec), nil
			}
		}
	}
}

// htons is a number in the order of the network, for socket(2).
func htons(n uint16) uint16 { return n<<8 | n>>8 }
