package config

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"knockd/internal/packet"
)

func TestText(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{PortRange{Proto: packet.TCP, First: 22, Last: 22}.String(), "tcp/22"},
		{PortRange{Proto: packet.UDP, First: 22, Last: 25}.String(), "udp/22-25"},
		{SetRef{Family: "inet", Table: "filter", Set: "knockers"}.String(), "inet filter knockers"},
		{Diagnostic{Line: 3, Message: "m", Hint: "h"}.In("f"), "f:3: m (h)"},
		{Diagnostic{Line: 3, Message: "m"}.In("f"), "f:3: m"},
		{Diagnostic{Message: "m", Hint: "h"}.In("f"), "f: m (h)"},
		{Error{File: "f", Line: 3, Message: "m", Hint: "h"}.Error(), "f:3: m"},
		{Error{File: "f", Message: "m"}.Error(), "f: m"},
		{Errors{{File: "f", Line: 1, Message: "a"}, {File: "f", Line: 2, Message: "b"}}.Error(), "f:1: a\nf:2: b"},
		{fmt.Sprint(CaptureAuto, CaptureEBPF, CaptureClassic, Backend(9)), "auto ebpf classic 9"},
		{fmt.Sprint(HideDrop, HideReset, HideRehearse), "drop reset rehearse"},
		{fmt.Sprint(RepeatRun, RepeatExtend), "run extend"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestErrorsUnwrap(t *testing.T) {
	_, err := Parse("f", []byte("x\n[d]\ny = 1\n"))
	err = fmt.Errorf("loading: %w", err)
	var several Errors
	var one Error
	if !errors.As(err, &several) || len(several) != 2 || !errors.As(err, &one) || one.Line != 1 || !errors.Is(err, several[1]) {
		t.Errorf("%v: %v, %v", err, several, one)
	}
}

func TestErrorsAreBounded(t *testing.T) {
	text := make([]byte, 0, 1<<20)
	for range 1 << 18 {
		text = append(text, "x=\n"...)
	}
	_, err := Parse("f", text)
	var several Errors
	if !errors.As(err, &several) || len(several) > maxErrors {
		t.Errorf("%d errors", len(several))
	}
}

func TestNearest(t *testing.T) {
	names := []string{"Sequence", "Seq_Timeout", "Timeout", "Target", "Hide"}
	for word, want := range map[string]string{
		"sequence": "Sequence", "seqeunce": "Sequence", "SEQUENZE": "Sequence", "tiemout": "Timeout", "seqtimeout": "Seq_Timeout",
		"hid": "Hide", "hd": "", "xyz": "", "": "", "targets": "Target",
	} {
		if got := nearest(word, names); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

func TestParseSequence(t *testing.T) {
	for text, want := range map[string]string{
		"7000":                    "[7000:tcp]",
		" 7000, 8000:UDP ,9000\t": "[7000:tcp 8000:udp 9000:tcp]",
		"7000,7000":               "[7000:tcp 7000:tcp]",
		"1,2 # used on Monday":    "[1:tcp 2:tcp]",
		"65535":                   "[65535:tcp]",
		"":                        `"" in its sequence is no port`,
		"1,":                      `"" in its sequence is no port`,
		"0":                       "port 0 in its sequence",
		"-1":                      `"-1" in its sequence is no port`,
		"ssh":                     `"ssh" in its sequence is no port`,
		"65536":                   "port 65536 is above 65535",
		"4294967297":              `"4294967297" in its sequence is no port`,
		"42949672964":             `"42949672964" in its sequence is no port`,
		"99999999999999999999":    `"99999999999999999999" in its sequence is no port`,
		"1:icmp":                  `unknown protocol "icmp", tcp and udp are known`,
		"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33": "more than 32 ports in the sequence",
	} {
		ports, err := ParseSequence(text)
		got := fmt.Sprint(ports)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestSweepOdds(t *testing.T) {
	for text, want := range map[string]uint64{
		"sequence = 3,1,2": 6, "sequence = 5": 1, "sequence = 3,1,3": 0, "sequence = 3,1:udp": 0, "sequence = 3,0": 0,
		"sequence = 3,1,2\ndecoys = 1": 0, "sequence = 3\ndecoys = 1": 1, "one_time_sequences = /f": 0,
		"sequence = 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20":          2432902008176640000,
		"sequence = 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23": 1 << 62,
	} {
		c, err := Parse("f", []byte("[d]\n"+text))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Doors[0].SweepOdds(); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}

func TestCommandFor(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for _, c := range []struct {
		command Command
		ip      netip.Addr
		want    string
	}{
		{Command{V4: "a"}, v6, "a"},
		{Command{V4: "a", V6: "b", HasV6: true}, v6, "b"},
		{Command{V4: "a", V6: "b", HasV6: true}, v4, "a"},
		{Command{V4: "a", HasV6: true}, v6, ""},
		{Command{V6: "b", HasV6: true}, v4, ""},
	} {
		if got := c.command.For(c.ip); got != c.want {
			t.Errorf("%+v for %s: %q, want %q", c.command, c.ip, got, c.want)
		}
	}
}
