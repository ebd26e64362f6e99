package firewall_test

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// The first segment of a connection, in fragments so small that its flags are in the second, or IPv6 fragments whose
// first ends before the transport header (which recent kernels discard anyway), does not get past the door. Nothing here makes conntrack put fragments
// together before the door's hook.
func TestFragmentsDoNotHideTheFlags(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serve(22)
	l.nft("add table inet see; add chain inet see out { type filter hook output priority 0; }; " +
		"add rule inet see out tcp sport 22 counter")
	injector := netlabtest.NewInjector(t, l.Client, "eth0", l.ServerMAC)
	source := uint16(2000)
	send := func(cut func(packet.Packet) [][]byte, v6 bool) {
		source++
		p := packet.Packet{
			Src: l.Client4, Dst: l.Server4, SrcPort: source,
			Port: packet.Port{Proto: packet.TCP, Number: 22}, Flags: packet.SYN,
		}
		if v6 {
			p.Src, p.Dst = l.Client6, l.Server6
		}
		for _, fragment := range cut(p) {
			must(t, injector.SendIP(fragment))
		}
	}
	answered := func() int { return l.counted("see", "out") }
	for name, c := range map[string]struct {
		cut    func(packet.Packet) [][]byte
		v6     bool
		passes bool // without a door
	}{
		"IPv4":             {cut4, false, true},
		"IPv6":             {cut6, true, true},
		"IPv6, no flags":   {cutFlags6, true, false},
		"IPv6, no segment": {cutHeaders, true, false},
	} {
		before := answered()
		send(c.cut, c.v6)
		if c.passes {
			eventually(t, name+" answered without a door", func() bool { return answered() > before })
		}
		k := l.kernel()
		must(t, k.Install(t.Context(), rules(ssh(22)), nil))
		before = answered()
		send(c.cut, c.v6)
		time.Sleep(silence) // nothing may come
		if n := answered() - before; n > 0 {
			t.Errorf("%s: %d answers", name, n)
		}
		must(t, k.Remove(t.Context()))
		must(t, k.Close())
	}
}

// cut4 cuts a packet behind the first 8 bytes of its segment.
func cut4(p packet.Packet) [][]byte {
	whole := packettest.Build(p, packettest.Options{})
	head, segment := whole[:22:22], whole[20:]
	return [][]byte{fragment4(head, segment[:8], 0x2000), fragment4(head, segment[8:], 1)}
}

func fragment4(head, data []byte, field uint16) []byte {
	h := slices.Clone(head[:20])
	binary.BigEndian.PutUint16(h[2:], uint16(len(h)+len(data)))
	binary.BigEndian.PutUint16(h[6:], field)
	copy(h[4:6], head[20:22]) // an id of its own: the source port
	h[10], h[11] = 0, 0
	var sum uint32
	for i := 0; i < len(h); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(h[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(h[10:], ^uint16(sum))
	return append(h, data...)
}

// cut6 cuts a packet of IPv6 behind its TCP header: the kernel takes no first fragment with less.
func cut6(p packet.Packet) [][]byte { return cutAt(p, 24) }

func cutFlags6(p packet.Packet) [][]byte { return cutAt(p, 8) }

func cutAt(p packet.Packet, n int) [][]byte {
	whole := packettest.Build(p, packettest.Options{TCPOptions: []byte{1, 1, 1, 1, 1, 1, 1, 1}})
	segment := whole[40:]
	return [][]byte{fragment6(whole, 6, segment[:n], 0, true), fragment6(whole, 6, segment[n:], uint16(n), false)}
}

// cutHeaders leaves only a header of destination options in the first fragment.
func cutHeaders(p packet.Packet) [][]byte {
	whole := packettest.Build(p, packettest.Options{})
	options := []byte{6, 0, 1, 4, 0, 0, 0, 0}
	return [][]byte{fragment6(whole, 60, options, 0, true), fragment6(whole, 60, whole[40:], 8, false)}
}

func fragment6(whole []byte, next byte, data []byte, offset uint16, more bool) []byte {
	h := slices.Clone(whole[:40])
	binary.BigEndian.PutUint16(h[4:], uint16(8+len(data)))
	h[6] = 44
	if more {
		offset |= 1
	}
	h = append(h, next, 0)
	h = binary.BigEndian.AppendUint16(h, offset)
	h = append(h, 0, 0, whole[40], whole[41]) // an id of its own: the source port
	return append(h, data...)
}
