package convert

import (
	"regexp"
	"strings"

	"knockd/internal/config"
)

// mention is what the commands of a door that stays may be about, as far as their words tell.
type mention struct {
	door  *config.Door
	ports []config.PortRange // of no protocol
	// everything is set where they let a knocker in at every port.
	everything bool
}

// mentions lists the doors with commands that stay.
func (c *conversion) mentions() []mention {
	var list []mention
	for i := range c.doors {
		d := c.doors[i].door
		if c.doors[i].reason == "" || d.Disabled != "" || !runs(d.Start) {
			continue
		}
		if m := mentioned(d); m.everything || len(m.ports) > 0 {
			list = append(list, m)
		}
	}
	return list
}

var (
	portWord = regexp.MustCompile(`\b\d{1,5}(?:[:-]\d{1,5})?\b`)
	accepts  = regexp.MustCompile(`\b(?:ACCEPT|accept|allow)\b`)
	address  = regexp.MustCompile(`\b\d+\.\d+\.\d+\.\d+(?:/\d+)?\b`)
	firewall = regexp.MustCompile(`\b(?:ip6?tables(?:-nft|-legacy)?|nft|ufw|firewall-cmd)\b`)
)

// mentioned takes every number for a port: rather a door too many is kept.
func mentioned(d *config.Door) mention {
	m := mention{door: d}
	for _, text := range []string{d.Start.V4, d.Start.V6, d.Stop.V4, d.Stop.V6} {
		text = address.ReplaceAllString(strings.ReplaceAll(text, knocker, " "), " ")
		ports := len(m.ports)
		for _, word := range portWord.FindAllString(text, -1) {
			list, ok := portList(strings.ReplaceAll(word, "-", ":"), ":")
			if ok {
				m.ports = append(m.ports, list...)
			}
		}
		for name, port := range services() {
			if regexp.MustCompile(`\b` + name + `\b`).MatchString(text) {
				m.ports = append(m.ports, config.PortRange{First: port, Last: port})
			}
		}
		if len(m.ports) == ports && firewall.MatchString(text) && accepts.MatchString(text) {
			m.everything = true
		}
	}
	return m
}

// about reports whether it concerns one of some ports, and which.
func (m *mention) about(ports []config.PortRange) (config.PortRange, bool) {
	for _, p := range ports {
		if m.everything {
			return p, true
		}
		for _, other := range m.ports {
			if p.First <= other.Last && other.First <= p.Last {
				return p, true
			}
		}
	}
	return config.PortRange{}, false
}
