package firewall

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"knockd/internal/config"
	"knockd/internal/packet"
)

// generation counts how often the table was rebuilt. What belongs to one carries its number, so that the next is
// complete beside it before it goes: a ruleset that is replaced within one transaction lets those packets through that
// are on their way between the two chains' hooks.
type generation uint32

// name is the kernel's name of an object of the generation.
func (g generation) name(object string) string { return fmt.Sprintf("g%d_%s", g, object) }

// generationOf takes a name of the kernel's apart. It is 0 for what belongs to no generation.
func generationOf(name string) (generation, string) {
	number, object, ok := strings.Cut(name, "_")
	if !ok || !strings.HasPrefix(number, "g") {
		return 0, name
	}
	n, err := strconv.ParseUint(number[1:], 10, 32)
	if err != nil {
		return 0, name
	}
	return generation(n), object
}

// The names of the objects. Those of a door's sets are cell.object.
const (
	baseName       = "prerouting"
	exemptName     = "exempt"
	hidePrefix     = "hide"
	rehearsePrefix = "rehearse"
	leaseName      = "lease"
	localName      = "local"
	allow4Name     = "allow4"
	allow6Name     = "allow6"
	interfacesName = "interfaces"
	doorPrefix     = "door"
	// The record of rehearsals outlives generations.
	seen4Name = "seen4"
	seen6Name = "seen6"
)

// label is what a door's set is for, kept as the set's comment: it tells a later process, and whoever lists the
// ruleset, whose grants these are and for which ports.
type label struct {
	door  string
	ports []config.PortRange
	bits  int
}

// labelMost keeps comments below the 256 bytes of user data that the kernel takes (NFT_USERDATA_MAXLEN).
const labelMost = 250

// String is "tcp/22,udp/60-70 /32 ssh". It is empty where that is too long: what a later process can't read, it drops.
func (l label) String() string {
	s := fmt.Sprintf("%s /%d %s", portsText(l.ports), l.bits, escape(l.door))
	if len(s) > labelMost {
		return ""
	}
	return s
}

// parseLabel reads what String wrote.
func parseLabel(s string) (label, bool) {
	ports, rest, ok1 := strings.Cut(s, " /")
	bits, door, ok2 := strings.Cut(rest, " ")
	n, err := strconv.Atoi(bits)
	if !ok1 || !ok2 || err != nil {
		return label{}, false
	}
	l := label{door: unescape(door), bits: n}
	for item := range strings.SplitSeq(ports, ",") {
		r, ok := parsePorts(item)
		if !ok {
			return label{}, false
		}
		l.ports = append(l.ports, r)
	}
	return l, true
}

func portsText(ports []config.PortRange) string {
	items := make([]string, len(ports))
	for i, r := range ports {
		items[i] = fmt.Sprintf("%s/%d", r.Proto, r.First)
		if r.Last != r.First {
			items[i] += fmt.Sprintf("-%d", r.Last)
		}
	}
	return strings.Join(items, ",")
}

func parsePorts(s string) (config.PortRange, bool) {
	proto, numbers, ok := strings.Cut(s, "/")
	first, last, isRange := strings.Cut(numbers, "-")
	if !isRange {
		last = first
	}
	f, err1 := strconv.ParseUint(first, 10, 16)
	l, err2 := strconv.ParseUint(last, 10, 16)
	r := config.PortRange{First: uint16(f), Last: uint16(l)}
	switch proto {
	case packet.TCP.String():
		r.Proto = packet.TCP
	case packet.UDP.String():
		r.Proto = packet.UDP
	default:
		ok = false
	}
	return r, ok && err1 == nil && err2 == nil && f <= l
}

// escape keeps a door's name, which may be any bytes, printable and free of what ends a string in nft's language.
func escape(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' || c == '%' {
			fmt.Fprintf(&b, "%%%02x", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// normal is a list of ports in order, with what overlaps or touches made one.
func normal(ports []config.PortRange) []config.PortRange {
	sorted := slices.Clone(ports)
	slices.SortFunc(sorted, func(a, b config.PortRange) int {
		if a.Proto != b.Proto {
			return int(a.Proto) - int(b.Proto)
		}
		return int(a.First) - int(b.First)
	})
	var out []config.PortRange
	for _, r := range sorted {
		if n := len(out); n > 0 && out[n-1].Proto == r.Proto && int(r.First) <= int(out[n-1].Last)+1 {
			out[n-1].Last = max(out[n-1].Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	return out
}

// common are the ports in both of two normal lists.
func common(a, b []config.PortRange) []config.PortRange {
	var out []config.PortRange
	for _, x := range a {
		for _, y := range b {
			first, last := max(x.First, y.First), min(x.Last, y.Last)
			if x.Proto == y.Proto && first <= last {
				out = append(out, config.PortRange{Proto: x.Proto, First: first, Last: last})
			}
		}
	}
	return out
}

// keyOf are the bytes of an address as a set's key.
func keyOf(ip netip.Addr) []byte { return ip.AsSlice() }
