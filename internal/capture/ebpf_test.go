package capture

import (
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"knockd/internal/capture/bpf"
	"knockd/internal/config"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// needEBPF skips where this kernel or this user can't have the backend.
func needEBPF(t testing.TB) {
	t.Helper()
	netlabtest.Check(t, canEBPF())
}

// canEBPF tries once. A program that the verifier refuses (EACCES) is no reason to skip.
var canEBPF = sync.OnceValue(func() error {
	var o bpf.KnockObjects
	err := loadEBPF(&o)
	if errors.Is(err, ErrCapability) || errors.Is(err, ebpf.ErrNotSupported) {
		return &netlab.Unsupported{What: "the eBPF backend", Err: err}
	}
	if err != nil {
		return err
	}
	return o.Close()
})

func TestEBPF(t *testing.T) {
	needEBPF(t)
	testBackend(t, config.CaptureEBPF)
}

// chosen is what choose answers.
type chosen struct {
	b           backend
	reason, err error
}

// chooseWith chooses a backend with capabilities alone; what it chose is closed.
func chooseWith(capabilities uint64, asked config.Backend) chosen {
	c := New(Options{})
	out := outlet{batches: c.batches, barrier: c.barrier, failed: c.failures.report}
	ended := make(chan chosen, 1)
	go func() {
		// The thread is never unlocked: it ends with the goroutine.
		runtime.LockOSThread()
		var r chosen
		if r.err = keepCapabilities(capabilities); r.err == nil {
			r.b, r.reason, r.err = choose(asked, out)
		}
		if r.b != nil {
			r.b.close()
		}
		ended <- r
	}()
	return <-ended
}

// Without CAP_BPF there is the classic backend, and a reason that names what is missing; who insists gets that alone.
func TestEBPFWithoutCapability(t *testing.T) {
	auto := chooseWith(1<<unix.CAP_NET_RAW, config.CaptureAuto)
	if auto.err != nil || auto.b.kind() != config.CaptureClassic {
		t.Fatalf("auto: %+v", auto)
	}
	for _, err := range []error{auto.reason, chooseWith(1<<unix.CAP_NET_RAW, config.CaptureEBPF).err} {
		var missing *CapabilityError
		if !errors.As(err, &missing) || missing.Capability != "CAP_BPF" {
			t.Errorf("reason: %v", err)
		}
	}
	t.Log(auto.reason)
}

// CAP_BPF is enough: the verifier, which is stricter without CAP_PERFMON, accepts the program.
func TestEBPFWithFewCapabilities(t *testing.T) {
	needEBPF(t)
	r := chooseWith(1<<unix.CAP_NET_RAW|1<<unix.CAP_BPF, config.CaptureEBPF)
	if r.err != nil {
		t.Fatalf("%.3000s", r.err.Error())
	}
}

// A flood is held back in the kernel; a knock in it and a knock after it come through.
func TestEBPFFlood(t *testing.T) {
	needEBPF(t)
	s := newScene(t, config.CaptureEBPF, tcp(7000))
	w := s.want(config.CaptureEBPF, tcp(7000), udp(7000))
	w.FloodThreshold = 10
	s.set(w)
	f := newFlood(t, s, tcp(7000))
	sent, got := 0, 0
	for range 200 {
		sent += f.send()
		got += len(s.sync())
	}
	// One window's worth comes through for each second that it takes, and what was there before.
	// A 64th of the sources are of 127.0.0.0/8, and count for nothing.
	if n := s.c.Stats(); n.Dropped != 0 || got > sent/2 || n.Held < uint64(sent/2) || n.Held > uint64(sent) {
		t.Errorf("%d sent, %d captured, %+v", sent, got, n)
	}
	first, second := s.knock6(tcp(7000)), s.knock6(udp(7000))
	got6 := s.arrive(packettest.Build(first, packettest.Options{}), packettest.Build(second, packettest.Options{}))
	compare(t, got6, []packet.Packet{first, second}, s.at.Index)
	s.until(s.knock4(udp(7000)))
}

// Reading allocates nothing.
func TestRecordAllocates(t *testing.T) {
	b := newBench(t, heldSpec(), peace)
	c := New(Options{})
	r, err := newEventReader(outlet{batches: c.batches}, b.objects.Ring, b.tables.names)
	netlabtest.Check(t, err)
	defer r.waiter.close()
	defer func() { _ = r.ring.Close() }()
	s := &extendedSocket{}
	r.sockets[1] = s
	_, _, err = b.objects.Knock.Benchmark(frameOf(stranger(1, tcp(1)), packettest.Options{}), 6*batchPackets, nil)
	netlabtest.Check(t, err)
	for range batchesInFlight { // each has its array made at its first use
		c.Release(r.out.batches.take(nil))
	}
	if n := testing.AllocsPerRun(4, func() {
		r.batch = r.out.batches.take(nil)
		r.fill()
		got := <-c.Batches()
		if len(got.Packets) < batchPackets-2 || got.Packets[0].Port != tcp(1) {
			t.Fatalf("%d packets", len(got.Packets))
		}
		c.Release(got)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
