package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

func (p *parser) setUseSyslog(string)     { p.conf.Options.UseSyslog = true }
func (p *parser) setLogFile(value string) { p.conf.Options.LogFile = value }
func (p *parser) setPidFile(value string) { p.conf.Options.PidFile = value }
func (p *parser) setCapture(value string) {
	choose(p, "Capture", value, backendNames(), &p.conf.Options.Capture)
}

func (p *parser) setCloseAtExit(v string) { p.conf.Options.CloseAtExit = p.yes("Close_At_Exit", v) }

func (p *parser) setMaxCommands(v string) {
	p.number("Max_Commands", v, 1, 65536, &p.conf.Options.MaxCommands)
}
func (p *parser) setControlGroup(v string) { p.conf.Options.ControlGroup = v }

func (p *parser) setFloodThreshold(v string) {
	p.number("Flood_Threshold", v, 0, 1_000_000_000, &p.conf.Options.FloodThreshold)
}

// longestSocket is what fits into sockaddr_un (unix(7): 108 bytes with the final NUL).
const longestSocket = 107

func (p *parser) setControl(value string) {
	if len(value) > longestSocket {
		p.fail(fmt.Sprintf("Control: a socket's path has at most %d bytes", longestSocket), "choose a shorter one, or none")
	}
	p.conf.Options.Control = p.pathOrNone("Control", value, "")
}

func (p *parser) setState(value string) {
	p.conf.Options.State, p.conf.Options.StateSet = p.pathOrNone("State", value, StateNone), true
}

// shortestLease keeps the hidden ports from being shown while a busy daemon is late with renewing.
const shortestLease = time.Minute

func (p *parser) setUnattended(value string) {
	if strings.EqualFold(value, "never") {
		p.conf.Options.Unattended = 0
		return
	}
	if value == "0" {
		p.fail("Unattended: 0 would show the ports at once", "write never, to keep them hidden without a daemon")
		return
	}
	p.span("Unattended", value, shortestLease, &p.conf.Options.Unattended)
}

// setInterface keeps the reference's way with a name that no interface can have: it loads, and is waited for in vain.
func (p *parser) setInterface(value string) {
	p.conf.Options.Interfaces = nil
	if value == "" {
		return
	}
	var names []string
	for name := range strings.SplitSeq(value, ",") {
		name = trim(name)
		if why := badInterface(name); why != "" {
			p.doubt(fmt.Sprintf("no interface can be named %q: %s", name, why), "names are joined by commas: eth0,wlan0")
		}
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, word := range []string{"any", "default"} {
		if len(names) > 1 && slices.Contains(names, word) {
			p.fail(fmt.Sprintf("Interface = %s stands alone", word), "leave out the other names, or "+word)
		}
	}
	p.conf.Options.Interfaces = names
}

// badInterface says why the kernel would refuse a name (dev_valid_name in net/core/dev.c), empty if it would not.
func badInterface(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > 15:
		return "it is longer than 15 bytes"
	case name == "." || name == ".." || strings.ContainsAny(name, "/:"+blank):
		return "it has a blank, a colon or a slash"
	}
	return ""
}

func (p *parser) setAlwaysAllow(value string) {
	o := &p.conf.Options
	o.AlwaysAllow, o.AlwaysAllowInterfaces = nil, nil
	for item := range strings.SplitSeq(value, ",") {
		item = trim(item)
		prefix, err := network(item)
		switch {
		case err == nil:
			o.AlwaysAllow = append(o.AlwaysAllow, p.masked(item, prefix))
		case looksLikeAddress(item):
			p.fail(fmt.Sprintf("Always_Allow: %q is no address or network", item), "write them as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/48")
		case badInterface(item) != "":
			p.fail(fmt.Sprintf("Always_Allow: %q is neither a network nor an interface: %s", item, badInterface(item)), "join them by commas")
		default:
			o.AlwaysAllowInterfaces = append(o.AlwaysAllowInterfaces, item)
		}
	}
}

// network reads an address or a prefix; an IPv4-mapped address is the IPv4 one.
func network(s string) (netip.Prefix, error) {
	if prefix, err := netip.ParsePrefix(s); err == nil {
		if prefix.Addr().Is4In6() {
			return netip.Prefix{}, fmt.Errorf("an IPv4-mapped network")
		}
		return prefix, nil
	}
	addr, err := netip.ParseAddr(s)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q is no address", s)
	}
	addr = addr.Unmap()
	return netip.PrefixFrom(addr, addr.BitLen()), nil
}

// masked drops the bits of a host from a network, and says so.
func (p *parser) masked(item string, prefix netip.Prefix) netip.Prefix {
	masked := prefix.Masked()
	if masked != prefix {
		p.remark(fmt.Sprintf("Always_Allow: %s means all of %s", item, masked), "write "+masked.String()+", or the address alone")
	}
	if prefix.Bits() == 0 {
		p.doubt("Always_Allow: "+masked.String()+" is everybody: nothing is hidden from anyone there", "name the networks that you come from")
	}
	return masked
}

// looksLikeAddress tells a mistyped address from the name of an interface.
func looksLikeAddress(s string) bool {
	return strings.ContainsAny(s, "/:") || strings.Trim(s, "0123456789.") == ""
}

func (p *parser) finishOptions() {
	o := &p.conf.Options
	if o.Control == "" && p.options["Control_Group"] > 0 {
		p.report(p.options["Control_Group"], true, "Control_Group without a control socket does nothing", "remove it, or Control = none")
	}
}
