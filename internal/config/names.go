package config

import (
	"strconv"
	"strings"
)

// backendNames, hideNames and onRepeatNames are the words of the file, at the index of their value.
func backendNames() []string  { return []string{"auto", "ebpf", "classic"} }
func hideNames() []string     { return []string{"drop", "reset", "rehearse"} }
func onRepeatNames() []string { return []string{"run", "extend"} }

// String returns the word of the Capture directive.
func (b Backend) String() string { return nameOf(backendNames(), int(b)) }

// String returns the word of the Hide directive.
func (h Hide) String() string { return nameOf(hideNames(), int(h)) }

// String returns the word of the On_Repeat directive.
func (r OnRepeat) String() string { return nameOf(onRepeatNames(), int(r)) }

func nameOf(names []string, value int) string {
	if value < len(names) {
		return names[value]
	}
	return strconv.Itoa(value)
}

// String returns the form of the Open directive: "tcp/22" or "tcp/22-25".
func (r PortRange) String() string {
	text := r.Proto.String() + "/" + strconv.Itoa(int(r.First))
	if r.Last != r.First {
		text += "-" + strconv.Itoa(int(r.Last))
	}
	return text
}

// String returns the form of the Nft_Set directive: "inet filter knockers".
func (s SetRef) String() string {
	return strings.Join([]string{s.Family, s.Table, s.Set}, " ")
}
