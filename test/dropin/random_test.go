package dropin

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"knockd/internal/daemontest"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
	"knockd/internal/packet"
	"knockd/internal/packet/packettest"
)

// randomDoors are doors that share ports and prefixes, of both protocols, some with flags.
type randomDoor struct {
	name     string
	sequence []packet.Port
	flags    string
}

const markPort = 9999

func drawDoors(r *rand.Rand) []randomDoor {
	var doors []randomDoor
	for i := range 6 {
		d := randomDoor{name: fmt.Sprintf("door%d", i)}
		for range 1 + r.IntN(4) {
			d.sequence = append(d.sequence, drawPort(r))
		}
		if i > 0 && r.IntN(2) == 0 { // a shared beginning
			d.sequence[0] = doors[i-1].sequence[0]
		}
		d.flags = []string{"", "", "syn", "syn,!ack"}[r.IntN(4)]
		doors = append(doors, d)
	}
	return doors
}

func drawPort(r *rand.Rand) packet.Port {
	p := packet.Port{Proto: packet.TCP, Number: uint16(1001 + r.IntN(5))}
	if r.IntN(5) == 0 {
		p.Proto = packet.UDP
	}
	return p
}

func configOf(doors []randomDoor) string {
	var b strings.Builder
	b.WriteString("[options]\n\tInterface = eth0\n[mark]\n\tsequence = 9999\n\ttcpflags = syn\n")
	for _, d := range doors {
		parts := make([]string, len(d.sequence))
		for i, p := range d.sequence {
			parts[i] = p.String()
		}
		fmt.Fprintf(&b, "[%s]\n\tsequence = %s\n\tseq_timeout = 300\n", d.name, strings.Join(parts, ","))
		if d.flags != "" {
			fmt.Fprintf(&b, "\ttcpflags = %s\n", d.flags)
		}
	}
	return b.String()
}

// said is what a daemon logged of one packet: per door the stage, or the length of its sequence and opened.
type said struct {
	stage  map[string]int
	opened map[string]bool
}

// TestRandomPackets shows both daemons the same random packets at the same interface, one source at a time. Where the
// reference opens a door ours opens it at that packet or, where a sequence overlaps itself, at most its length less one
// sooner; where the reference reaches a stage ours reaches that one or a higher one, or has just opened; but what was begun by a packet that
// also advanced or opened another door is not spoken of.
func TestRandomPackets(t *testing.T) {
	rounds, packets := 4, 1500
	if testing.Short() {
		rounds, packets = 1, 500
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for round := range rounds {
		r := rand.New(rand.NewPCG(seed, uint64(round)))
		doors := drawDoors(r)
		sent, ours, reference, opened := sideBySide(t, r, doors, packets)
		t.Logf("round %d: the reference opened %d times, ours %d times", round, opened[1], opened[0])
		for i := range packets {
			compareSaid(t, doors, sent, ours, reference, i)
		}
		if t.Failed() {
			t.Logf("the doors:\n%s", configOf(doors))
			return
		}
	}
}

func compareSaid(t *testing.T, doors []randomDoor, sent []packet.Packet, ours, reference []said, i int) {
	t.Helper()
	for _, d := range doors {
		before := openedBefore(doors, d, sent, ours, i)
		if reference[i].opened[d.name] && !before {
			t.Errorf("packet %d: the reference opened %s, ours did not", i, d.name)
		}
		if stage := reference[i].stage[d.name]; stage > ours[i].stage[d.name] && !before && !(stage == 1 && forwardElsewhere(ours[i], d.name)) {
			t.Errorf("packet %d: the reference says %s: Stage %d, ours %d", i, d.name, stage, ours[i].stage[d.name])
		}
	}
}

// openedBefore reports whether ours opened a door at a packet, or at most its length less one packets of the door's stream
// sooner.
func openedBefore(doors []randomDoor, d randomDoor, sent []packet.Packet, ours []said, i int) bool {
	for left := len(d.sequence); i >= 0 && left > 0; i-- {
		if ours[i].opened[d.name] {
			return true
		}
		counted := slices.ContainsFunc(doors, func(o randomDoor) bool { return slices.Contains(o.sequence, sent[i].Port) && o.admits(sent[i]) })
		if counted && d.admits(sent[i]) {
			left--
		}
	}
	return false
}

func (d randomDoor) admits(p packet.Packet) bool {
	switch {
	case p.Port.Proto == packet.UDP || d.flags == "":
		return true
	case d.flags == "syn":
		return p.Flags&packet.SYN != 0
	default:
		return p.Flags&(packet.SYN|packet.ACK) == packet.SYN
	}
}

// forwardElsewhere reports whether the packet advanced or opened another door: what it also began is not spoken of (the one
// difference in the log that is meant).
func forwardElsewhere(s said, door string) bool {
	for name, stage := range s.stage {
		if name != door && (stage > 1 || s.opened[name]) {
			return true
		}
	}
	return false
}

// sideBySide sends the packets, a mark behind each, to both daemons in one namespace, and returns what each said of each.
func sideBySide(t *testing.T, r *rand.Rand, doors []randomDoor, packets int) (sent []packet.Packet, ours, reference []said, opened [2]int) {
	t.Helper()
	p := netlabtest.NewPair(t)
	dir := t.TempDir()
	conf := filepath.Join(dir, "reference.conf")
	text := configOf(doors)
	netlabtest.Check(t, os.WriteFile(conf, []byte(text), 0o600))
	logs := [2]string{filepath.Join(dir, "ours.log"), filepath.Join(dir, "reference.log")}
	daemontest.Start(t, p.Server, daemontest.Options{Config: text, Args: []string{"-g", logs[0]}})
	waitLog(t, logs[0], "starting up")
	daemontest.Start(t, p.Server, daemontest.Options{Program: daemontest.Reference, Command: []string{"-c", conf, "-g", logs[1]}})
	waitLog(t, logs[1], "starting up")
	time.Sleep(300 * time.Millisecond) // the reference's filter shows nowhere
	i := netlabtest.NewInjector(t, p.Client, netlab.Interface, p.ServerMAC)
	var pk packet.Packet
	for n := range packets {
		pk = drawPacket(r, p, n, pk)
		sent = append(sent, pk)
		netlabtest.Check(t, i.SendIP(packettest.Build(pk, packettest.Options{})))
		netlabtest.Check(t, i.SendIP(packettest.Build(packet.Packet{
			Src: mark(n), Dst: p.Server4, SrcPort: 999, Port: packet.Port{Proto: packet.TCP, Number: markPort}, Flags: packet.SYN,
		}, packettest.Options{})))
		time.Sleep(time.Millisecond)
	}
	last := mark(packets-1).String() + ": mark: OPEN SESAME"
	for _, log := range logs {
		waitLog(t, log, last)
	}
	for k, log := range logs {
		all := sayings(t, daemontest.Read(t, log), packets)
		for _, s := range all {
			opened[k] += len(s.opened)
		}
		if k == 0 {
			ours = all
		} else {
			reference = all
		}
	}
	return sent, ours, reference, opened
}

// mark is the source of the n-th mark.
func mark(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 200, byte(n >> 8), byte(n)}) }

// drawPacket draws a packet; a source sends 30 of them, and now and then one twice.
func drawPacket(r *rand.Rand, p *netlab.Pair, n int, last packet.Packet) packet.Packet {
	source := n / 30
	if n%30 > 0 && r.IntN(12) == 0 {
		return last
	}
	pk := packet.Packet{
		Src: netip.AddrFrom4([4]byte{10, 100, byte(source >> 8), byte(source)}), Dst: p.Server4, SrcPort: uint16(20000 + n),
		Port: drawPort(r), Flags: []packet.Flags{packet.SYN, packet.SYN, packet.SYN, packet.SYN | packet.ACK, packet.ACK}[r.IntN(5)],
	}
	if r.IntN(20) == 0 {
		pk.Port.Number = 1500 // in no door
	}
	if source%3 == 2 {
		b := [16]byte{0: 0xfd, 15: byte(source), 14: 1}
		pk.Src, pk.Dst = netip.AddrFrom16(b), p.Server6
	}
	if pk.Port.Proto == packet.UDP {
		pk.Flags = 0
	}
	return pk
}

// sayings cuts a log at its marks.
func sayings(t *testing.T, log string, packets int) []said {
	t.Helper()
	all := make([]said, packets)
	for i := range all {
		all[i] = said{stage: map[string]int{}, opened: map[string]bool{}}
	}
	n := 0
	for line := range strings.Lines(log) {
		fields := strings.Split(strings.TrimSpace(stamp.ReplaceAllString(line, "")), ": ")
		if len(fields) != 3 {
			continue
		}
		switch {
		case fields[1] == "mark":
			if fields[2] == "OPEN SESAME" {
				if fields[0] != mark(n).String() {
					t.Fatalf("mark %d is %s: a packet was lost", n, fields[0])
				}
				n++
			}
		case n >= packets:
		case fields[2] == "OPEN SESAME":
			all[n].opened[fields[1]] = true
		default:
			var stage int
			if _, err := fmt.Sscanf(fields[2], "Stage %d", &stage); err == nil {
				all[n].stage[fields[1]] = max(all[n].stage[fields[1]], stage)
			}
		}
	}
	if n != packets {
		t.Fatalf("%d marks of %d", n, packets)
	}
	return all
}
