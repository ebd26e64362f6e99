package config

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"
)

func (p *parser) setOneTime(value string) { p.door.OneTimeFile = value }
func (p *parser) setStart(value string)   { p.door.Start.V4 = p.command(value) }
func (p *parser) setStop(value string)    { p.door.Stop.V4 = p.command(value) }
func (p *parser) setStart6(value string) {
	p.door.Start.V6, p.door.Start.HasV6 = p.command(value), true
}

func (p *parser) setStop6(value string) { p.door.Stop.V6, p.door.Stop.HasV6 = p.command(value), true }

func (p *parser) setOnRepeat(value string) {
	choose(p, "On_Repeat", value, onRepeatNames(), &p.door.OnRepeat)
}
func (p *parser) setCooldown(value string) { p.span("Cooldown", value, 0, &p.door.Cooldown) }
func (p *parser) setDecoys(value string)   { p.number("Decoys", value, 0, 64512, &p.door.Decoys) }

func (p *parser) setSequence(value string) {
	parsed, err := parseSequence(value)
	if err != nil {
		p.fail(err.Error(), "a sequence is 1 to 32 ports from 1 to 65535: 7000,9000:udp,8000")
		return
	}
	for _, odd := range parsed.odd {
		p.doubt(odd, "a sequence is ports joined by commas: 7000,9000:udp,8000")
	}
	p.ports, p.door.Sequence = parsed, parsed.ports
}

func (p *parser) setTCPFlags(value string) {
	flags, err := addFlags(p.door.Flags, value)
	if err != nil {
		p.fail(err.Error(), "the flags are "+strings.Join(flagNames(), ", ")+", each maybe with ! before it")
		return
	}
	p.door.Flags, p.door.FlagsSet = flags, true
}

// setTarget keeps the reference's way with a name, a short form such as 127.1 and an expression of pcap: they load, and no
// packet ever has them for its destination (seen), since it compares text.
func (p *parser) setTarget(value string) {
	addr, err := netip.ParseAddr(value)
	switch {
	case err == nil && addr.Zone() == "":
		p.door.Target, p.door.Disabled = addr.Unmap(), ""
	case value == "" || addr.Zone() != "" || strings.ContainsAny(value, ":/"):
		p.fail(fmt.Sprintf("Target: %q is no address", value), "write an IPv4 or IPv6 address, without zone, mask or port")
	case strings.Trim(value, "0123456789.") == "" && !loadsAsTarget(value):
		p.fail(fmt.Sprintf("Target: %q is no address", value), "write four numbers from 0 to 255")
	default:
		p.door.Target, p.door.Disabled = netip.Addr{}, fmt.Sprintf("its Target %q is no address", value)
	}
}

// loadsAsTarget reports whether the reference takes dotted numbers: one to four of them, each at most 255.
func loadsAsTarget(value string) bool {
	parts := strings.Split(value, ".")
	for _, part := range parts {
		if n := leniently(part); !n.exact || n.n > 255 {
			return false
		}
	}
	return len(parts) <= 4
}

func (p *parser) setSeqTimeout(value string) {
	p.door.SeqTimeout = p.seconds("Seq_Timeout", value)
}

func (p *parser) setCmdTimeout(value string) {
	d := p.seconds("Cmd_Timeout", value)
	if d < 0 {
		// The reference hands a negative number to sleep(3), which takes it for a large one.
		d = math.MaxUint32*time.Second + d + time.Second
		p.doubt("with a negative Cmd_Timeout the stop command is not run for 136 years", "write the seconds until then; leave out Stop_Command to keep the door open")
	}
	p.door.CmdTimeout = d
}

// seconds reads a duration, and what is none as the reference does.
func (p *parser) seconds(name, value string) time.Duration {
	if d, ok := duration(value); ok {
		return d
	}
	read := leniently(value)
	if !read.exact {
		p.doubt(fmt.Sprintf("%s: %q is read as %d seconds", name, value, read.n), "write seconds, or 90s, 10m, 1h")
	}
	return time.Duration(read.n) * time.Second
}

// maxCommand is the reference's bound on a command with its addresses filled in.
const maxCommand = 4095

func (p *parser) command(line string) string {
	if len(strings.ReplaceAll(line, "%IP%", "::")) > maxCommand {
		p.doubt(fmt.Sprintf("a command longer than %d bytes is never run", maxCommand), "put it into a script")
	}
	return line
}
