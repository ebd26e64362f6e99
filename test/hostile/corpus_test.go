package hostile

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"knockd/internal/netlab"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// frame is an Ethernet frame with what is wrong about it.
type frame struct {
	name string
	data []byte
}

// maker makes frames of one source and one port of the sequence.
type maker struct {
	pair *netlab.Pair
	from netip.Addr
	port uint16
}

// ethernet puts a header before a payload.
func (m maker) ethernet(to net.HardwareAddr, kind uint16, payload []byte) []byte {
	header := binary.BigEndian.AppendUint16(slices.Concat(to, m.pair.ClientMAC), kind)
	return append(header, payload...)
}

// ip is a frame around an IP packet.
func (m maker) ip(b []byte) []byte {
	kind := uint16(unix.ETH_P_IP)
	if b[0]>>4 == 6 {
		kind = unix.ETH_P_IPV6
	}
	return m.ethernet(m.pair.ServerMAC, kind, b)
}

func (m maker) packet() packet.Packet {
	to := m.pair.Server4
	if m.from.Is6() {
		to = m.pair.Server6
	}
	return packet.Packet{Src: m.from, Dst: to, SrcPort: 40000, Port: packet.Port{Proto: packet.TCP, Number: m.port}, Flags: packet.SYN}
}

// plain is a right hit, which others are made from.
func (m maker) plain() []byte { return packettest.Build(m.packet(), packettest.Options{}) }

// changed is a right hit with something changed.
func (m maker) changed(change func([]byte)) []byte {
	b := m.plain()
	change(b)
	return m.ip(b)
}

// corpus is one frame of each kind.
func (m maker) corpus() []frame {
	frames := slices.Concat(m.links(), m.addresses(), m.lengths())
	if m.from.Is6() {
		return append(frames, m.chains()...)
	}
	return append(frames, m.fragments()...)
}

// links are frames whose link layer is odd.
func (m maker) links() []frame {
	tag := func(kind, number uint16, inner []byte) []byte {
		tagged := binary.BigEndian.AppendUint16(nil, number)
		return append(binary.BigEndian.AppendUint16(tagged, kind), inner...)
	}
	kind := uint16(unix.ETH_P_IP)
	if m.from.Is6() {
		kind = unix.ETH_P_IPV6
	}
	plain, to := m.plain(), m.pair.ServerMAC
	other := net.HardwareAddr{2, 0, 0, 0, 0, 9}
	return []frame{
		{"plain", m.ip(plain)},
		{"other MAC", m.ethernet(other, kind, plain)},
		{"broadcast MAC", m.ethernet(net.HardwareAddr{255, 255, 255, 255, 255, 255}, kind, plain)},
		{"multicast MAC", m.ethernet(net.HardwareAddr{1, 0, 0x5e, 0, 0, 1}, kind, plain)},
		{"802.1Q", m.ethernet(to, unix.ETH_P_8021Q, tag(kind, 5, plain))},
		{"802.1p", m.ethernet(to, unix.ETH_P_8021Q, tag(kind, 0xe000, plain))},
		{"802.1ad", m.ethernet(to, unix.ETH_P_8021AD, tag(kind, 7, plain))},
		{"stacked tags", m.ethernet(to, unix.ETH_P_8021AD, tag(unix.ETH_P_8021Q, 7, tag(kind, 5, plain)))},
		{"three tags", m.ethernet(to, unix.ETH_P_8021Q, tag(unix.ETH_P_8021Q, 0, tag(unix.ETH_P_8021Q, 0, tag(kind, 0, plain))))},
		{"a tag and nothing", m.ethernet(to, unix.ETH_P_8021Q, []byte{0, 5})},
		{"the other family's type", m.ethernet(to, kind^unix.ETH_P_IP^unix.ETH_P_IPV6, plain)},
		{"802.3 length", m.ethernet(to, uint16(len(plain)), plain)},
		{"ARP", m.ethernet(to, unix.ETH_P_ARP, plain)},
		{"no payload", m.ethernet(to, kind, nil)},
		{"one byte", m.ethernet(to, kind, plain[:1])},
		{"padding", m.ip(append(slices.Clone(plain), make([]byte, 46)...))},
		{"jumbo frame", m.ip(packettest.Build(m.packet(), packettest.Options{Payload: make([]byte, 8900)}))},
	}
}

// addresses are packets from or to where none come from or go.
func (m maker) addresses() []frame {
	var frames []frame
	add := func(name string, change func(*packet.Packet)) {
		p := m.packet()
		change(&p)
		frames = append(frames, frame{name, m.ip(packettest.Build(p, packettest.Options{}))})
	}
	from := func(name, ip string) { add(name, func(p *packet.Packet) { p.Src = netip.MustParseAddr(ip) }) }
	to := func(name, ip string) { add(name, func(p *packet.Packet) { p.Dst = netip.MustParseAddr(ip) }) }
	add("own source", func(p *packet.Packet) { p.Src = p.Dst })
	add("port 0", func(p *packet.Packet) { p.Port.Number = 0 })
	add("source port 0", func(p *packet.Packet) { p.SrcPort = 0 })
	add("UDP", func(p *packet.Packet) { p.Port.Proto = packet.UDP })
	add("SCTP", func(p *packet.Packet) { p.Port.Proto = 132 })
	add("every flag", func(p *packet.Packet) { p.Flags = 0xff })
	add("no flag", func(p *packet.Packet) { p.Flags = 0 })
	if m.from.Is6() {
		from("mapped source", "::ffff:10.0.0.2")
		from("unspecified source", "::")
		from("loopback source", "::1")
		from("multicast source", "ff02::5")
		to("mapped destination", "::ffff:10.0.0.1")
		to("all nodes", "ff02::1")
		to("somebody else", "fd00::77")
		return frames
	}
	from("unspecified source", "0.0.0.0")
	from("this network's source", "0.1.2.3")
	from("loopback source", "127.0.0.1")
	from("multicast source", "224.0.0.1")
	from("broadcast source", "255.255.255.255")
	to("broadcast", "255.255.255.255")
	to("the network's broadcast", "10.0.255.255")
	to("multicast", "224.0.0.1")
	to("loopback", "127.0.0.1")
	to("somebody else", "10.0.0.77")
	return frames
}

// lengths are packets that lie about a length, or end too soon.
func (m maker) lengths() []frame {
	var frames []frame
	plain := m.plain()
	for n := 1; n < len(plain); n += 3 {
		frames = append(frames, frame{"truncated", m.ip(plain[:n])})
	}
	lengthAt, headerAt := 2, 20
	if m.from.Is6() {
		lengthAt, headerAt = 4, 40
	}
	for _, n := range []uint16{0, 1, 19, 20, 21, 39, 41, 1000, 65535} {
		frames = append(frames, frame{"IP length", m.changed(func(b []byte) { binary.BigEndian.PutUint16(b[lengthAt:], n) })})
	}
	for n := range byte(16) {
		frames = append(frames,
			frame{"TCP offset", m.changed(func(b []byte) { b[headerAt+12] = n << 4 })},
			frame{"IP version", m.changed(func(b []byte) { b[0] = n<<4 | b[0]&15 })},
			frame{"IP header length", m.changed(func(b []byte) { b[0] = b[0]&0xf0 | n })})
	}
	frames = append(frames, frame{"TCP options", m.ip(packettest.Build(m.packet(), packettest.Options{TCPOptions: make([]byte, 40)}))})
	p := m.packet()
	p.Port.Proto = packet.UDP
	for _, n := range []uint16{0, 7, 8, 9, 65535} {
		b := packettest.Build(p, packettest.Options{})
		binary.BigEndian.PutUint16(b[headerAt+4:], n)
		frames = append(frames, frame{"UDP length", m.ip(b)})
	}
	return frames
}

// fragments are IPv4 datagrams in pieces, overlapping ones among them, and with options.
func (m maker) fragments() []frame {
	var frames []frame
	for _, field := range []uint16{0x2000, 0x4000, 0x8000, 0x2001, 0x0001, 0x0002, 0x1fff, 0x3fff, 0xffff} {
		frames = append(frames, frame{"fragment", m.ip(packettest.Build(m.packet(), packettest.Options{Fragment: field, Payload: make([]byte, 24)}))})
	}
	// A first piece without the flags, and one that overlaps it with others (RFC 1858).
	tiny := packettest.Build(m.packet(), packettest.Options{Fragment: 0x2000})
	binary.BigEndian.PutUint16(tiny[2:], 28)
	frames = append(frames, frame{"tiny fragment", m.ip(tiny[:28])})
	for _, options := range [][]byte{{1}, {0}, {7, 39, 4}, {131, 7, 4, 10, 0, 0, 1}, {68, 0}, {255, 255}, make([]byte, 40)} {
		frames = append(frames, frame{"IPv4 options", m.ip(packettest.Build(m.packet(), packettest.Options{IPv4Options: options}))})
	}
	return frames
}

// chains are IPv6 packets with extension headers.
func (m maker) chains() []frame {
	var frames []frame
	add := func(name string, extensions ...packettest.Extension) {
		frames = append(frames, frame{name, m.ip(packettest.Build(m.packet(), packettest.Options{Extensions: extensions, Payload: make([]byte, 24)}))})
	}
	add("hop by hop", packettest.HopByHop(0))
	add("hop by hop, long", packettest.HopByHop(31))
	add("hop by hop, second", packettest.DestinationOptions(0), packettest.HopByHop(0))
	add("routing", packettest.Routing(0))
	add("routing with segments left", packettest.Routing(1))
	add("fragment, whole", packettest.Fragment(0, false))
	add("fragment, first", packettest.Fragment(0, true))
	add("fragment, overlapping", packettest.Fragment(1, true))
	add("fragment, last", packettest.Fragment(8191, false))
	add("two fragments", packettest.Fragment(0, true), packettest.Fragment(0, false))
	add("authentication", packettest.Authentication(3))
	add("encapsulated", packettest.Extension{Header: 50, Body: make([]byte, 7)})
	add("no next header", packettest.Extension{Header: 59, Body: make([]byte, 7)})
	for n := range 40 {
		add("chain", slices.Repeat([]packettest.Extension{packettest.DestinationOptions(n % 3)}, n)...)
	}
	add("jumbogram", packettest.Extension{Header: 0, Body: []byte{0, 0xc2, 4, 0, 1, 0, 0}})
	jumbogram := slices.Clone(frames[len(frames)-1].data)
	binary.BigEndian.PutUint16(jumbogram[14+4:], 0)
	return append(frames, frame{"jumbogram of no length", jumbogram})
}
