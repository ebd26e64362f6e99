package knock

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
)

func TestMain(m *testing.M) { os.Exit(netlabtest.Leaks(m)) }

var (
	server = netip.MustParseAddr("10.0.0.1")
	other  = netip.MustParseAddr("10.0.0.9")
	alice  = netip.MustParseAddr("192.0.2.1")
	bob    = netip.MustParseAddr("2001:db8::b")
	people = []netip.Addr{alice, bob, other}
)

// tcp and udp make sequences.
func tcp(numbers ...uint16) []packet.Port { return portsOf(packet.TCP, numbers) }

func portsOf(proto packet.Proto, numbers []uint16) []packet.Port {
	var list []packet.Port
	for _, n := range numbers {
		list = append(list, packet.Port{Proto: proto, Number: n})
	}
	return list
}

func doorOf(seconds int, sequence ...uint16) Door {
	return Door{Sequence: tcp(sequence...), Timeout: time.Duration(seconds) * time.Second}
}

func hit(from netip.Addr, at time.Duration, port uint16) packet.Packet {
	return packet.Packet{
		Time: at, Src: from, Dst: server, Port: packet.Port{Proto: packet.TCP, Number: port}, Flags: packet.SYN,
	}
}

func engineOf(doors ...Door) *Engine {
	e := New(doors, Options{})
	e.SetOwn([]netip.Addr{server})
	return e
}

func tell(events []Event) string {
	var b strings.Builder
	for _, e := range events {
		switch e.Kind {
		case Stage:
			fmt.Fprintf(&b, "%d:%d ", e.Door, e.Stage)
		case Opened:
			fmt.Fprintf(&b, "%d:open ", e.Door)
		case TimedOut:
			fmt.Fprintf(&b, "%d:timeout%d ", e.Door, e.Stage)
		}
	}
	return strings.TrimSpace(b.String())
}

// knocks shows an engine the ports, a second apart, and tells what happened at each.
func knocks(e *Engine, from netip.Addr, numbers ...uint16) string {
	var told []string
	for i, n := range numbers {
		p := hit(from, time.Duration(i)*time.Second, n)
		told = append(told, tell(e.Step(&p, nil)))
	}
	return strings.Join(told, ", ")
}

func TestTheRule(t *testing.T) {
	for _, test := range []struct {
		name  string
		doors []Door
		hits  []uint16
		want  string
	}{
		{"the right knock opens", []Door{doorOf(25, 1, 2, 3)}, []uint16{1, 2, 3}, "0:1, 0:2, 0:open"},
		{"a stray packet to a counted port ends it", []Door{doorOf(25, 1, 2, 3)}, []uint16{1, 3, 2, 3}, "0:1, , , "},
		{"a packet to no door's port disturbs nothing", []Door{doorOf(25, 1, 2, 3)}, []uint16{1, 9, 2, 9, 3}, "0:1, , 0:2, , 0:open"},
		{"the packet that spoils one knock begins the next", []Door{doorOf(25, 1, 2, 3)}, []uint16{1, 2, 1, 2, 3}, "0:1, 0:2, 0:1, 0:2, 0:open"},
		{"a repeat spoils nothing", []Door{doorOf(25, 1, 2, 3)}, []uint16{1, 1, 2, 2, 2, 3}, "0:1, 0:1, 0:2, , , 0:open"},
		{"the same port twice in a row", []Door{doorOf(25, 1, 1, 2)}, []uint16{1, 1, 2}, "0:1, 0:2, 0:open"},
		{"the same port twice, once too often", []Door{doorOf(25, 1, 1, 2)}, []uint16{1, 1, 1, 2}, "0:1, 0:2, 0:2, 0:open"},
		{"overlapping beginnings", []Door{doorOf(25, 1, 2, 1, 3)}, []uint16{1, 2, 1, 2, 1, 3}, "0:1, 0:2, 0:3, 0:2, 0:3, 0:open"},
		{"one port opens at each packet", []Door{doorOf(25, 1)}, []uint16{1, 1}, "0:open, 0:open"},
		{"one packet begins several doors", []Door{doorOf(25, 1, 2), doorOf(25, 1, 3)}, []uint16{1, 3}, "0:1 1:1, 1:open"},
		{"the last knock of one begins another, unspoken", []Door{doorOf(25, 1, 2, 3), doorOf(25, 3, 2, 1)}, []uint16{1, 2, 3, 2, 1}, "0:1, 0:2, 0:open, 1:2, 1:open"},
		{"too late by age", []Door{doorOf(2, 1, 2, 3)}, []uint16{1, 2, 3}, "0:1, 0:2, 0:timeout2"},
		{"a later beginning lives longer", []Door{doorOf(3, 1, 2, 3)}, []uint16{1, 1, 1, 2, 3}, "0:1, 0:1, 0:1, 0:2, 0:open"},
		{"an empty sequence never opens", []Door{doorOf(25)}, []uint16{1, 2}, ", "},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := knocks(engineOf(test.doors...), alice, test.hits...); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestTwoPeopleAtOnce(t *testing.T) {
	e := engineOf(doorOf(25, 1, 2, 3))
	var told []string
	for i := range 3 {
		for _, who := range []netip.Addr{alice, bob} {
			p := hit(who, time.Duration(i)*time.Second, uint16(i+1))
			told = append(told, tell(e.Step(&p, nil)))
		}
	}
	if got := strings.Join(told, " "); got != "0:1 0:1 0:2 0:2 0:open 0:open" {
		t.Error(got)
	}
}

func TestWhatDoesNotCount(t *testing.T) {
	flags := doorOf(25, 1, 2)
	flags.Flags = packet.FlagMatch{Set: packet.SYN, Clear: packet.ACK}
	for name, change := range map[string]func(*packet.Packet){
		"another destination":    func(p *packet.Packet) { p.Dst = other },
		"other flags":            func(p *packet.Packet) { p.Flags = packet.SYN | packet.ACK },
		"the other protocol":     func(p *packet.Packet) { p.Port.Proto = packet.UDP },
		"an IPv4-mapped source":  func(p *packet.Packet) { p.Src = netip.MustParseAddr("::ffff:192.0.2.1") },
		"an unspecified source":  func(p *packet.Packet) { p.Src = netip.IPv4Unspecified() },
		"a multicast source":     func(p *packet.Packet) { p.Src = netip.MustParseAddr("224.0.0.1") },
		"broadcast as source":    func(p *packet.Packet) { p.Src = broadcast },
		"loopback from the wire": func(p *packet.Packet) { p.Src = netip.MustParseAddr("127.0.0.1") },
	} {
		t.Run(name, func(t *testing.T) {
			e := engineOf(flags)
			p := hit(alice, 0, 1)
			change(&p)
			if events := e.Step(&p, nil); len(events) > 0 || e.Stats().Sources > 0 {
				t.Errorf("%v", events)
			}
		})
	}
}

func TestTarget(t *testing.T) {
	d := doorOf(25, 1, 2)
	d.Target = other
	e := engineOf(d, doorOf(25, 1, 2))
	at := func(dst netip.Addr, port uint16) string {
		p := hit(alice, 0, port)
		p.Dst = dst
		return tell(e.Step(&p, nil))
	}
	if got := at(other, 1) + " " + at(server, 1) + " " + at(other, 2) + " " + at(server, 2); got != "0:1 1:1 0:open 1:open" {
		t.Error(got)
	}
}

// TestTwoDestinationsInOne: a Target that is an own address.
func TestTwoDestinationsInOne(t *testing.T) {
	targeted := doorOf(25, 1, 2, 3)
	targeted.Target = server
	e := engineOf(targeted, doorOf(25, 3, 2, 4), doorOf(25, 1, 5))
	if got := knocks(e, alice, 1, 2, 3, 2, 4); got != "0:1 2:1, 0:2, 0:open, 1:2, 1:open" {
		t.Error(got)
	}
	// What counts at one counts at the other: port 2 is not listed there, and breaks its knock.
	if got := knocks(engineOf(targeted, doorOf(25, 1, 5)), alice, 1, 2, 5); got != "0:1 1:1, 0:2, " {
		t.Error(got)
	}
	expireAll(t, e)
}

// TestManyTargets: what an address does at one Target is no matter at the others.
func TestManyTargets(t *testing.T) {
	var doors []Door
	for i := range uint32(3000) {
		d := doorOf(25, 1, 2, 3)
		d.Target = visitor(i)
		doors = append(doors, d)
	}
	e := engineOf(doors...)
	at := func(port uint16) (opened int) {
		for i := range doors {
			p := hit(alice, time.Second, port)
			p.Dst = doors[i].Target
			for _, event := range e.Step(&p, nil) {
				if event.Kind == Opened && event.Door == i {
					opened++
				}
			}
		}
		return opened
	}
	if at(1) != 0 || at(2) != 0 || at(3) != len(doors) {
		t.Error("not all opened by their own knocks alone")
	}
}

// portSet is a set of decoys.
type portSet map[packet.Port]bool

func (s portSet) Contains(p packet.Port) bool { return s[p] }

func TestDecoys(t *testing.T) {
	d := doorOf(25, 1, 2, 3)
	d.Decoys = portSet{{Proto: packet.TCP, Number: 50}: true, {Proto: packet.UDP, Number: 60}: true}
	plain := doorOf(25, 1, 2, 4)
	touch := func(change func(*packet.Packet)) string {
		e := engineOf(d, plain)
		knocks(e, alice, 1, 2)
		p := hit(alice, 2*time.Second, 50)
		change(&p)
		e.Step(&p, nil)
		p = hit(alice, 3*time.Second, 3)
		return tell(e.Step(&p, nil))
	}
	for name, test := range map[string]struct {
		change func(*packet.Packet)
		opens  bool
	}{
		"a connection to a decoy":          {func(*packet.Packet) {}, false},
		"a datagram to a decoy":            {func(p *packet.Packet) { p.Port = packet.Port{Proto: packet.UDP, Number: 60} }, false},
		"a packet of a connection":         {func(p *packet.Packet) { p.Flags = packet.ACK }, true},
		"another port":                     {func(p *packet.Packet) { p.Port.Number = 51 }, true},
		"another destination":              {func(p *packet.Packet) { p.Dst = other }, true},
		"another source":                   {func(p *packet.Packet) { p.Src = bob }, true},
		"the other protocol's same number": {func(p *packet.Packet) { p.Port.Proto = packet.UDP }, true},
	} {
		if got := touch(test.change); (got == "0:open") != test.opens {
			t.Errorf("%s: %q", name, got)
		}
	}
	late := engineOf(d)
	knocks(late, alice, 1, 2)
	if p := hit(alice, time.Hour, 50); tell(late.Step(&p, nil)) != "0:timeout2" {
		t.Error("what is dead already died of age, not of the decoy")
	}
	// The door without decoys goes on.
	e := engineOf(d, plain)
	knocks(e, alice, 1, 2)
	p := hit(alice, 2*time.Second, 50)
	e.Step(&p, nil)
	p = hit(alice, 3*time.Second, 4)
	if got := tell(e.Step(&p, nil)); got != "1:open" {
		t.Errorf("the door without decoys: %q", got)
	}
}
