package capture

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"knockd/internal/capture/bpf"
	"knockd/internal/filter"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// The addresses of packets that the kernel's test-run facility shows the program.
var (
	own4 = netip.MustParseAddr("192.0.2.1")
	own6 = netip.MustParseAddr("2001:db8::1")
)

// bench is the program without sockets: packets go in by the kernel's test-run facility.
type bench struct {
	t       testing.TB
	objects bpf.KnockObjects
	tables  tables
	ring    *ringbuf.Reader
	sample  ringbuf.Record
}

func newBench(t testing.TB, s filter.Spec, threshold int) *bench {
	t.Helper()
	needEBPF(t)
	b := &bench{t: t}
	netlabtest.Check(t, loadEBPF(&b.objects))
	t.Cleanup(func() { _ = b.objects.Close() })
	var err error
	b.tables, err = newTables(&b.objects.KnockMaps)
	netlabtest.Check(t, err)
	netlabtest.Check(t, b.tables.update(rules{spec: s, floodThreshold: threshold}))
	b.ring, err = ringbuf.NewReader(b.objects.Ring)
	netlabtest.Check(t, err)
	t.Cleanup(func() { _ = b.ring.Close() })
	b.ring.SetDeadline(time.Unix(1, 0))
	return b
}

// frame is p as an Ethernet frame.
func frameOf(p packet.Packet, o packettest.Options) []byte {
	kind := []byte{0x08, 0}
	if p.Src.Is6() {
		kind = []byte{0x86, 0xdd}
	}
	return append(append(make([]byte, 12), kind...), packettest.Build(p, o)...)
}

// show runs the program on packets and returns what it delivered.
func (b *bench) show(packets ...packet.Packet) []packet.Packet {
	b.t.Helper()
	for _, p := range packets {
		b.run(frameOf(p, packettest.Options{}))
	}
	return b.delivered()
}

func (b *bench) run(frame []byte) {
	b.t.Helper()
	if n, err := b.objects.Knock.Run(&ebpf.RunOptions{Data: frame}); err != nil || n != 0 {
		b.t.Fatalf("the program returned %d, %v", n, err)
	}
}

func (b *bench) delivered() (got []packet.Packet) {
	b.t.Helper()
	names := *b.tables.names.Load()
	for b.ring.AvailableBytes() > 0 {
		netlabtest.Check(b.t, b.ring.ReadInto(&b.sample))
		for s := b.sample.RawSample; len(s) >= recordSize; s = s[recordSize:] {
			var p packet.Packet
			r := (*record)(unsafe.Pointer(&s[0]))
			r.fill(&p, names[r.dst])
			got = append(got, p)
		}
	}
	return got
}

// stranger is a source, to an own address of its family.
func stranger(number uint32, to packet.Port) packet.Packet {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 10<<24|number)
	return knock(netip.AddrFrom4(a), own4, to)
}

func stranger6(number uint32, to packet.Port) packet.Packet {
	a := netip.MustParseAddr("2001:db8:1::").As16()
	binary.BigEndian.PutUint32(a[12:], number)
	return knock(netip.AddrFrom16(a), own6, to)
}

// neighbours are n strangers of one bucket of the table of held packets.
func (b *bench) neighbours(n int) []uint32 {
	return b.choose(n, func(tag uint64) bool { return tag%32768 == 0 })
}

// acquaintances are n strangers of one bucket of the known sources, with different signs.
func (b *bench) acquaintances(n int) []uint32 {
	signs := map[uint64]bool{}
	return b.choose(n, func(tag uint64) bool {
		sign := max(tag>>48, 1)
		if tag>>16%32768 != 0 || signs[sign] {
			return false
		}
		signs[sign] = true
		return true
	})
}

// choose returns n strangers whose tag is as asked for.
func (b *bench) choose(n int, accepts func(tag uint64) bool) (numbers []uint32) {
	key := b.tables.setting.TagKey
	for i := uint32(1); len(numbers) < n; i++ {
		src := stranger(i, packet.Port{}).Src.As4()
		if accepts(sip13(key, uint64(binary.NativeEndian.Uint32(src[:]))<<32, 0, 4)) {
			numbers = append(numbers, i)
		}
	}
	return numbers
}

// sip13 is SipHash-1-3 of three words, as source_tag in held.h has it.
func sip13(key [2]uint64, words ...uint64) uint64 {
	a, b := key[0]^0x736f6d6570736575, key[1]^0x646f72616e646f6d
	c, d := key[0]^0x6c7967656e657261, key[1]^0x7465646279746573
	round := func() {
		a += b
		b = bits.RotateLeft64(b, 13) ^ a
		a = bits.RotateLeft64(a, 32)
		c += d
		d = bits.RotateLeft64(d, 16) ^ c
		a += d
		d = bits.RotateLeft64(d, 21) ^ a
		c += b
		b = bits.RotateLeft64(b, 17) ^ c
		c = bits.RotateLeft64(c, 32)
	}
	for _, w := range words {
		d ^= w
		round()
		a ^= w
	}
	c ^= 0xff
	for range 3 {
		round()
	}
	return a ^ b ^ c ^ d
}
