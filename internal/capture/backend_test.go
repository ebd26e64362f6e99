package capture

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"knockd/internal/boottime"
	"knockd/internal/config"
	"knockd/internal/filter"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// testBackend is what every backend must do.
func testBackend(t *testing.T, b config.Backend) {
	for _, test := range []struct {
		name string
		body func(*testing.T, config.Backend)
	}{
		{"packets", testPackets},
		{"random packets", testRandomPackets},
		{"tagged frames", testTags},
		{"outgoing", testOutgoing},
		{"loopback", testLoopback},
		{"bridge", testBridge},
		{"tun", testTun},
		{"order", testOrder},
		{"sync", testSync},
		{"live rules", testLiveRules},
		{"many doors", testManyDoors},
		{"losses", testLosses},
		{"absent", testAbsent},
		{"made again", testMadeAgain},
		{"down and up", testDownAndUp},
		{"renamed", testRenamed},
		{"moved away", testMovedAway},
		{"wanted no more", testUnwanted},
		{"other backend", testOtherBackend},
		{"closing", testClosing},
		{"capability", testCapability},
	} {
		t.Run(test.name, func(t *testing.T) { test.body(t, b) })
	}
}

// scene is a server that captures and a client that sends.
type scene struct {
	*lab
	pair    *netlab.Pair
	client  *netlab.Injector
	witness *witness
	// at is the server's interface.
	at Interface
	// probe numbers the calls of set.
	probe byte
}

// newScene captures what goes to ports on the server's interface.
func newScene(t testing.TB, b config.Backend, ports ...packet.Port) *scene {
	t.Helper()
	p := netlabtest.NewPair(t)
	s := &scene{
		pair:    p,
		client:  netlabtest.NewInjector(t, p.Client, netlab.Interface, p.ServerMAC),
		witness: newWitness(t, p.Server, netlab.Interface),
		at:      index(t, p.Server, netlab.Interface),
	}
	s.lab = newLab(t, p.Server, s.want(b, ports...))
	s.attached(0, netlab.Interface)
	return s
}

// peace is a FloodThreshold that nothing here reaches.
const peace = 1 << 30

// want is capture from the server's interface.
func (s *scene) want(b config.Backend, ports ...packet.Port) Want {
	return Want{
		Backend: b, Interfaces: []Interface{s.at}, FloodThreshold: peace,
		Spec: spec([]netip.Addr{s.pair.Server4, s.pair.Server6}, ports...),
	}
}

// knock4 and knock6 are knocks of the client.
func (s *scene) knock4(to packet.Port) packet.Packet {
	return knock(s.pair.Client4, s.pair.Server4, to)
}

func (s *scene) knock6(to packet.Port) packet.Packet {
	return knock(s.pair.Client6, s.pair.Server6, to)
}

// arrive sends IP packets and returns what was captured.
func (s *scene) arrive(packets ...[]byte) []packet.Packet {
	s.t.Helper()
	s.witness.burst(s.client, func() {
		for _, b := range packets {
			netlabtest.Check(s.t, s.client.SendIP(b))
		}
	})
	return s.sync()
}

// set makes w wanted and returns when it holds: when a packet that only w lets through comes through.
func (s *scene) set(w Want) {
	s.t.Helper()
	s.probe++
	probe := s.knock4(udp(60000))
	probe.Dst = netip.AddrFrom4([4]byte{192, 0, 2, s.probe})
	w.Spec.Rules = append(slices.Clone(w.Spec.Rules), filter.Rule{Target: probe.Dst, Ports: []packet.Port{probe.Port}})
	s.c.Set(w)
	s.until(probe)
}

// until sends knocks like p until one is captured.
func (s *scene) until(p packet.Packet) {
	s.t.Helper()
	for deadline := time.Now().Add(waitBound); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		// An interface that is down takes nothing.
		_ = s.client.SendIP(packettest.Build(p, packettest.Options{}))
		if slices.ContainsFunc(s.sync(), func(q packet.Packet) bool { return p.Dst == q.Dst && p.Port == q.Port }) {
			s.arrive() // the other ones sent
			return
		}
	}
	s.t.Fatalf("nothing captured like %+v; %v", p, s.seen())
}

// compare holds what was captured against what should have been, but for the times.
func compare(t *testing.T, got, want []packet.Packet, at int) {
	t.Helper()
	for i := range got {
		got[i].Time = 0
	}
	for i := range want {
		want[i].Interface = at
	}
	if !slices.Equal(got, want) {
		t.Errorf("captured\n%+v, want\n%+v", got, want)
	}
}

func testPackets(t *testing.T, b config.Backend) {
	s := newScene(t, b, tcp(7000), udp(7000))
	type options = packettest.Options
	var sent [][]byte
	var want []packet.Packet
	yes := func(p packet.Packet, o options) {
		sent, want = append(sent, packettest.Build(p, o)), append(want, p)
	}
	no := func(p packet.Packet, o options) { sent = append(sent, packettest.Build(p, o)) }
	for _, make := range []func(packet.Port) packet.Packet{s.knock4, s.knock6} {
		yes(make(tcp(7000)), options{})
		yes(make(udp(7000)), options{})
		yes(make(udp(7000)), options{Payload: []byte("hello")})
		no(make(tcp(7001)), options{})
		no(make(udp(6999)), options{})
		no(make(packet.Port{Proto: 1, Number: 7000}), options{Payload: []byte("no ports here")})
		ack := make(tcp(7000))
		ack.Flags = packet.ACK | packet.PSH
		yes(ack, options{TCPOptions: []byte{2, 4, 5, 180}})
		other := make(tcp(7000))
		other.Dst = other.Src
		no(other, options{})
	}
	four, six := s.knock4(tcp(7000)), s.knock6(udp(7000))
	yes(four, options{IPv4Options: []byte{1, 1, 1, 1, 1, 1, 1, 1}})
	yes(four, options{IPv4Options: make([]byte, 40), TCPOptions: make([]byte, 40)})
	yes(four, options{Fragment: 0x4000})
	yes(four, options{Fragment: 0x2000})
	no(four, options{Fragment: 0x2001})
	no(four, options{Fragment: 1})
	yes(six, options{Extensions: []packettest.Extension{packettest.HopByHop(0)}})
	yes(six, options{Extensions: []packettest.Extension{packettest.DestinationOptions(1), packettest.Routing(0)}})
	yes(six, options{Extensions: []packettest.Extension{packettest.Fragment(0, true)}})
	no(six, options{Extensions: []packettest.Extension{packettest.Fragment(1, false)}})
	no(six, options{Extensions: []packettest.Extension{packettest.Routing(1)}})

	before := boottime.Now()
	got := s.arrive(sent...)
	after := boottime.Now()
	for i, p := range got {
		if p.Time < before || p.Time > after || i > 0 && p.Time < got[i-1].Time {
			t.Errorf("packet %d came at %v, sent between %v and %v", i, p.Time, before, after)
		}
	}
	compare(t, got, want, s.at.Index)
	if n := s.c.Stats(); n.Dropped != 0 || len(n.Interfaces) != 1 || n.Interfaces[0].Name != netlab.Interface {
		t.Errorf("Stats = %+v", n)
	}
}

// Frames to another MAC address or to everybody count: the IP destination decides.
func testTags(t *testing.T, b config.Backend) {
	s := newScene(t, b, tcp(1), tcp(2), tcp(3), tcp(4), tcp(5), tcp(6))
	frame := func(to string, n uint16, tags ...byte) {
		t.Helper()
		f := append([]byte(to), s.pair.ClientMAC...)
		f = append(append(f, tags...), 8, 0)
		netlabtest.Check(t, s.client.Send(append(f, packettest.Build(s.knock4(tcp(n)), packettest.Options{})...)))
	}
	server := string(s.pair.ServerMAC)
	s.witness.burst(s.client, func() {
		frame("\xff\xff\xff\xff\xff\xff", 1)
		frame("\x02\x02\x02\x02\x02\x02", 2)
		frame(server, 3, 0x81, 0, 0, 5)                   // VLAN 5
		frame(server, 4, 0x81, 0, 0xe0, 0)                // a priority alone
		frame(server, 5, 0x88, 0xa8, 0, 5, 0x81, 0, 0, 5) // stacked
		frame(server, 6)
	})
	want := []packet.Packet{s.knock4(tcp(1)), s.knock4(tcp(2)), s.knock4(tcp(4)), s.knock4(tcp(6))}
	compare(t, s.sync(), want, s.at.Index)
}

func testOutgoing(t *testing.T, b config.Backend) {
	s := newScene(t, b, udp(7000))
	w := s.want(b, udp(7000))
	w.Spec.Own = append(w.Spec.Own, s.pair.Client4)
	s.set(w)
	away := newWitness(t, s.pair.Client, netlab.Interface)
	server := netlabtest.NewInjector(t, s.pair.Server, netlab.Interface, s.pair.ClientMAC)
	out := knock(s.pair.Server4, s.pair.Client4, udp(7000))
	away.burst(server, func() { netlabtest.Check(t, server.SendIP(packettest.Build(out, packettest.Options{}))) })
	got := s.arrive(packettest.Build(s.knock4(udp(7000)), packettest.Options{}))
	compare(t, got, []packet.Packet{s.knock4(udp(7000))}, s.at.Index)
}

// A packet over lo is seen once, and a loopback source from anywhere else not at all.
func testLoopback(t *testing.T, b config.Backend) {
	s := newScene(t, b, udp(7000))
	local := netip.MustParseAddr("127.0.0.1")
	lo := index(t, s.pair.Server, "lo")
	w := s.want(b, udp(7000))
	w.Interfaces = append(w.Interfaces, lo)
	w.Spec.Own = append(w.Spec.Own, local)
	s.c.Set(w)
	s.attached(0, "lo")
	forged := knock(local, s.pair.Server4, udp(7000))
	if got := s.arrive(packettest.Build(forged, packettest.Options{})); len(got) != 0 {
		t.Errorf("a forged loopback source came through: %+v", got)
	}
	at := newWitness(t, s.pair.Server, "lo")
	inside := netlabtest.NewInjector(t, s.pair.Server, "lo", nil)
	in := knock(local, local, udp(7000))
	at.burst(inside, func() {
		netlabtest.Check(t, inside.Send(append(make([]byte, 12), append([]byte{8, 0}, packettest.Build(in, packettest.Options{})...)...)))
	})
	compare(t, s.sync(), []packet.Packet{in}, lo.Index)
}

// Packets of one socket come in order, and all those that arrived before Sync come before its mark.
func testOrder(t *testing.T, b config.Backend) {
	s := newScene(t, b, tcp(7000), udp(7000))
	for round := range 20 {
		var sent [][]byte
		var want []packet.Packet
		for n := range 50 {
			p := s.knock4(udp(7000))
			if n%2 == 1 {
				p = s.knock6(tcp(7000))
			}
			p.SrcPort = uint16(1000*round + n)
			sent, want = append(sent, packettest.Build(p, packettest.Options{})), append(want, p)
		}
		compare(t, s.arrive(sent...), want, s.at.Index)
	}
}

// A mark comes with nothing captured at all, and without interfaces; one mark may stand for several.
func testSync(t *testing.T, b config.Backend) {
	s := newScene(t, b, tcp(7000))
	if got := s.sync(); len(got) != 0 {
		t.Errorf("captured %+v", got)
	}
	for range 100 {
		s.token++
		s.c.Sync(s.token)
	}
	s.sync()
	w := s.want(b, tcp(7000))
	w.Interfaces = nil
	s.c.Set(w)
	s.await(0, "detaching", func(e Event) bool { return e.Kind == Detached })
	s.sync()
}
