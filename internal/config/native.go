package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

func (p *parser) setOpenFor(value string) { p.span("Open_For", value, time.Second, &p.door.OpenFor) }

func (p *parser) setMaxOpen(value string) { p.number("Max_Open", value, 1, 1_000_000, &p.door.MaxOpen) }
func (p *parser) setHide(value string)    { choose(p, "Hide", value, hideNames(), &p.door.Hide) }
func (p *parser) setNftSet(value string)  { p.door.Set4 = p.nftSet("Nft_Set", value, "ip6", "IPv4") }

func (p *parser) setNftSet6(value string) { p.door.Set6 = p.nftSet("Nft_Set_6", value, "ip", "IPv6") }

func (p *parser) setOpen(value string) {
	p.door.Open = nil
	for item := range strings.SplitSeq(value, ",") {
		r, ok := portRange(trim(item))
		if !ok {
			p.fail(fmt.Sprintf("Open: %q is no port", trim(item)), "write tcp/22, udp/51820 or tcp/8000-8010, joined by commas; ports are 1 to 65535")
			continue
		}
		if i := slices.IndexFunc(p.door.Open, r.overlaps); i >= 0 {
			p.fail(fmt.Sprintf("Open: %s and %s overlap", p.door.Open[i], r), "name every port once")
		}
		p.door.Open = append(p.door.Open, r)
	}
}

// portRange reads "proto/port" or "proto/port-port".
func portRange(s string) (PortRange, bool) {
	word, ports, slash := strings.Cut(s, "/")
	proto, err := protocol(trim(word))
	from, to, ranged := strings.Cut(ports, "-")
	if !ranged {
		to = from
	}
	first, ok1 := digits(trim(from), 1, 65535)
	last, ok2 := digits(trim(to), 1, 65535)
	r := PortRange{Proto: proto, First: uint16(first), Last: uint16(last)}
	return r, slash && err == nil && ok1 && ok2 && first <= last
}

func (r PortRange) overlaps(other PortRange) bool {
	return r.Proto == other.Proto && r.First <= other.Last && other.First <= r.Last
}

// The widest networks that Admit takes.
const (
	widest4 = 16
	widest6 = 40
)

const admitHint = "write host, an IPv4 prefix from /16 to /32, an IPv6 prefix from /40 to /128, or both: /24,/56"

func (p *parser) setAdmit(value string) {
	p.door.Admit4, p.door.Admit6 = 0, 0
	for item := range strings.SplitSeq(value, ",") {
		item = trim(item)
		if strings.EqualFold(item, "host") {
			continue
		}
		bits, ok := digits(strings.TrimPrefix(item, "/"), 0, 128)
		switch {
		case !ok || !strings.HasPrefix(item, "/"):
			p.fail(fmt.Sprintf("Admit: %q is neither host nor a prefix length", item), admitHint)
		case bits < widest4 || bits > 32 && bits < widest6:
			p.fail(fmt.Sprintf("Admit: %s is too wide", item), admitHint)
		case bits <= 32:
			p.admitOnce(&p.door.Admit4, bits, "IPv4")
		default:
			p.admitOnce(&p.door.Admit6, bits, "IPv6")
		}
	}
	if p.door.Admit4 == 0 {
		p.door.Admit4 = 32
	}
	if p.door.Admit6 == 0 {
		p.door.Admit6 = 128
	}
}

func (p *parser) admitOnce(to *int, bits int, family string) {
	if *to != 0 {
		p.fail(fmt.Sprintf("Admit: two prefix lengths for %s", family), admitHint)
	}
	*to = bits
}

// maxNftName is the kernel's bound on the names of tables and sets (NFT_NAME_MAXLEN, with the final NUL).
const maxNftName = 255

// nftSet reads "FAMILY TABLE SET". blind is the family whose tables never see a packet of ip, for a warning.
func (p *parser) nftSet(name, value, blind, ip string) *SetRef {
	fields := strings.Fields(value)
	if len(fields) != 3 {
		p.fail(fmt.Sprintf("%s: %q is not FAMILY TABLE SET", name, value), "write it as: inet filter knockers")
		return nil
	}
	set := &SetRef{Family: strings.ToLower(fields[0]), Table: fields[1], Set: fields[2]}
	switch {
	case slices.Contains([]string{"bridge", "arp", "netdev"}, set.Family):
		p.fail(fmt.Sprintf("%s: a table of family %s does not guard this machine's services", name, set.Family), "put the set into a table of family inet, ip or ip6")
	case !slices.Contains([]string{"ip", "ip6", "inet"}, set.Family):
		p.fail(fmt.Sprintf("%s: there is no family %q", name, fields[0]), "the families are inet, ip and ip6")
	case max(len(set.Table), len(set.Set)) > maxNftName:
		p.fail(fmt.Sprintf("%s: a name longer than %d bytes", name, maxNftName), "")
	case set.Family == "inet" && set.Table == "knockd":
		p.fail(name+": the table inet knockd is this program's own", "name a set in a table of yours, or use Open")
	case set.Family == blind:
		p.doubt(fmt.Sprintf("%s: a table of family %s never sees %s packets", name, blind, ip), "use a table of family inet")
	}
	return set
}
