package capture

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"knockd/internal/config"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// flood sends one frame many times, each from another source address, with sendmmsg(2).
type flood struct {
	t        testing.TB
	fd       int
	frames   [64][]byte
	iovecs   [64]unix.Iovec
	messages [64]mmsghdr
	random   *rand.Rand
	// kind is what it is a flood of.
	kind floodKind
	// sources are those of the last frames, to send again from.
	sources [64]uint32
	again   bool
}

// floodKind is what an attacker may know of the doors.
type floodKind struct {
	name string
	// twice: each source sends two packets.
	twice bool
	// ports, if not nil, are chosen from at random.
	ports []uint16
}

// floodKinds are floods on the first port, and on the ports of a door.
func floodKinds() []floodKind {
	return []floodKind{
		{name: "once"},
		{name: "twice", twice: true},
		{name: "ports", ports: []uint16{7000, 8000, 9000}},
		{name: "twice-ports", twice: true, ports: []uint16{7000, 8000, 9000}},
	}
}

func newFlood(t testing.TB, s *scene, to packet.Port) *flood {
	f := &flood{t: t, random: rand.New(rand.NewPCG(5, 6))}
	at := index(t, s.pair.Client, netlab.Interface)
	netlabtest.Check(t, s.pair.Client.Do(func() (err error) {
		f.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		return err
	}))
	t.Cleanup(func() { _ = unix.Close(f.fd) })
	netlabtest.Check(t, unix.SetsockoptInt(f.fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1))
	netlabtest.Check(t, unix.Bind(f.fd, &unix.SockaddrLinklayer{Ifindex: at.Index}))
	for i := range f.frames {
		ip := packettest.Build(s.knock4(to), packettest.Options{})
		f.frames[i] = slices.Concat(s.pair.ServerMAC, s.pair.ClientMAC, []byte{8, 0}, ip)
		f.iovecs[i].Base = &f.frames[i][0]
		f.iovecs[i].SetLen(len(f.frames[i]))
		f.messages[i].header.Iov = &f.iovecs[i]
		f.messages[i].header.SetIovlen(1)
	}
	return f
}

// send sends 64 frames, and returns how many went.
func (f *flood) send() int {
	for i, frame := range f.frames {
		if !f.again {
			f.sources[i] = f.random.Uint32()&^(1<<31) | 1<<24
		}
		binary.BigEndian.PutUint32(frame[26:], f.sources[i])
		if len(f.kind.ports) > 0 {
			binary.BigEndian.PutUint16(frame[36:], f.kind.ports[f.random.IntN(len(f.kind.ports))])
		}
	}
	f.again = f.kind.twice && !f.again
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(f.fd), uintptr(unsafe.Pointer(&f.messages[0])), 64, 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// usage is the processor time of the process or, with RUSAGE_THREAD, of the thread.
func usage(t testing.TB, who int) time.Duration {
	var r unix.Rusage
	netlabtest.Check(t, unix.Getrusage(who, &r))
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkFlood measures capture during an unthrottled flood from forged sources, sent on one processor: what it costs
// in percent of a core, and what share is not delivered: held back or lost, which is counted as dropped.
func BenchmarkFlood(b *testing.B) {
	for _, backend := range []config.Backend{config.CaptureClassic, config.CaptureEBPF} {
		for _, kind := range floodKinds() {
			b.Run(backendName(backend)+"/"+kind.name, func(b *testing.B) { benchmarkFlood(b, backend, kind) })
		}
	}
}

func benchmarkFlood(b *testing.B, backend config.Backend, kind floodKind) {
	s := newScene(b, backend, tcp(7000))
	w := s.want(backend, tcp(7000), tcp(8000), tcp(9000))
	w.FloodThreshold = 1000
	s.set(w)
	f := newFlood(b, s, tcp(7000))
	f.kind = kind
	stop := make(chan struct{})
	ended := make(chan int)
	go func() {
		got := 0
		for {
			select {
			case batch := <-s.c.Batches():
				got += len(batch.Packets)
				s.c.Release(batch)
			case <-stop:
				ended <- got
				return
			}
		}
	}()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	netlabtest.Check(b, unix.SchedGetaffinity(0, &before))
	one.Set(0)
	netlabtest.Check(b, unix.SchedSetaffinity(0, &one))
	defer func() { netlabtest.Check(b, unix.SchedSetaffinity(0, &before)) }()
	sent, all, own, began := 0, usage(b, unix.RUSAGE_SELF), usage(b, unix.RUSAGE_THREAD), time.Now()
	for b.Loop() {
		sent += f.send()
	}
	took := time.Since(began)
	cpu := usage(b, unix.RUSAGE_SELF) - all - (usage(b, unix.RUSAGE_THREAD) - own)
	time.Sleep(100 * time.Millisecond)
	close(stop)
	got := <-ended
	b.ReportMetric(float64(sent)/took.Seconds(), "packets/s")
	b.ReportMetric(100*float64(cpu)/float64(took), "%core")
	b.ReportMetric(100*float64(sent-got)/float64(sent), "%undelivered")
	b.ReportMetric(float64(s.c.Stats().Dropped), "dropped")
}
