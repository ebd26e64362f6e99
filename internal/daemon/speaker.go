package daemon

import (
	"context"
	"fmt"
	"net/netip"

	"knockd/internal/knock"
	"knockd/internal/logs"
	"knockd/internal/packet"
)

// speaker is the daemon's voice: the reference's lines, to the log and with -v to stdout. It never blocks the loop.
type speaker struct {
	log            *logs.Log
	verbose, debug bool
	// names looks hosts up behind the loop, nil without --lookup.
	names *naming
	rates map[string]*rate
}

func newSpeaker(log *logs.Log, s *Settings) *speaker {
	return &speaker{log: log, verbose: s.Verbose, debug: s.Debug, rates: map[string]*rate{}}
}

// line says something that is not about one source.
func (s *speaker) line(text string) { s.say(utterance{text: text}) }

func (s *speaker) linef(format string, args ...any) { s.line(fmt.Sprintf(format, args...)) }

// about says something about a source: `IP: text`, or with --lookup `IP (HOST): text`.
func (s *speaker) about(ip netip.Addr, text string) { s.say(utterance{ip: ip, text: text}) }

// stdoutOnly says what is for the person at the terminal alone.
func (s *speaker) stdoutOnly(text string) {
	if s.verbose || s.debug {
		s.say(utterance{text: text, stdout: true})
	}
}

// stage says how far a knock got. First stages are limited in rate, for anybody can send them; later ones apart from those,
// for whoever knows a part of the sequence can send them too.
func (s *speaker) stage(door string, e knock.Event) {
	kind := "first stages"
	if e.Stage > 1 {
		kind = "later stages"
	}
	if !s.mayPass(door, kind, e) {
		return
	}
	s.about(e.Source, fmt.Sprintf("%s: Stage %d", door, e.Stage))
}

// timeout says that a knock died of age.
func (s *speaker) timeout(door string, e knock.Event) {
	if !s.mayPass(door, "timeouts", e) {
		return
	}
	s.about(e.Source, fmt.Sprintf("%s: sequence timeout (stage %d)", door, e.Stage))
}

// mayPass counts a line of a kind at a door, and says how many were left out once there is room again.
func (s *speaker) mayPass(door, kind string, e knock.Event) bool {
	r := s.rates[door+"\x00"+kind]
	if r == nil {
		r = &rate{}
		s.rates[door+"\x00"+kind] = r
	}
	pass, left := r.pass(e.Time)
	if left > 0 {
		s.linef("%s: %d %s left out of the log", door, left, kind)
	}
	return pass
}

// packet says with -D what was counted: this names expected ports, and goes to the terminal alone.
func (s *speaker) packet(p *packet.Packet) {
	s.say(utterance{ip: p.Src, text: fmt.Sprintf("packet to %s port %s flags %s", p.Dst, p.Port, p.Flags), stdout: true})
}

func (s *speaker) say(u utterance) {
	if s.names != nil {
		s.names.say(u)
		return
	}
	u.to(s.log, u.ip.String())
}

// utterance is one line on its way to the log.
type utterance struct {
	// ip is the source it is about, the zero Addr for none.
	ip     netip.Addr
	text   string
	stdout bool
}

func (u utterance) to(log *logs.Log, name string) {
	text := u.text
	if u.ip.IsValid() {
		text = name + ": " + text
	}
	if u.stdout {
		log.Stdout(text)
		return
	}
	log.Line(text)
}

// naming stands between loop and log where --lookup is given: a name server may be slow, lines keep their order.
type naming struct {
	queue chan utterance
	log   *logs.Log
	names *names
	left  uint64
}

// namingQueue bounds the lines that wait for names.
const namingQueue = 4096

func newNaming(log *logs.Log) *naming {
	return &naming{queue: make(chan utterance, namingQueue), log: log, names: newNames()}
}

func (n *naming) say(u utterance) {
	if n.left > 0 {
		select {
		case n.queue <- utterance{text: fmt.Sprintf("%d lines left out: looking up names is too slow", n.left)}:
			n.left = 0
		default:
		}
	}
	select {
	case n.queue <- u:
	default:
		n.left++
	}
}

// Run passes lines on until ctx ends, then what is queued without their names.
func (n *naming) Run(ctx context.Context) error {
	for {
		select {
		case u := <-n.queue:
			n.pass(ctx, u)
		case <-ctx.Done():
			n.drain()
			return nil
		}
	}
}

func (n *naming) pass(ctx context.Context, u utterance) {
	name := ""
	if u.ip.IsValid() {
		name = n.names.of(ctx, u.ip)
	}
	u.to(n.log, name)
}

func (n *naming) drain() {
	for {
		select {
		case u := <-n.queue:
			u.to(n.log, u.ip.String())
		default:
			return
		}
	}
}
