package config

import (
	"fmt"
	"strings"
	"testing"
)

// good are values that each directive takes; TestDirectives fails for one that is not here.
func good() map[string]string {
	return map[string]string{
		"UseSyslog": "", "LogFile": "/var/log/knockd.log", "PidFile": "/run/knockd.pid", "Interface": "eth0,wg0",
		"Always_Allow": "192.0.2.0/24,lo", "Unattended": "24h", "State": "/var/lib/knockd", "Control": "none",
		"Control_Group": "adm", "Capture": "classic", "Flood_Threshold": "0", "Max_Commands": "1", "Close_At_Exit": "no",
		"Sequence": "7000,9000:udp,8000", "One_Time_Sequences": "/etc/knockd/sequences", "Seq_Timeout": "5s",
		"TCPFlags": "syn, !ack", "Target": "2001:db8::1", "Start_Command": "true", "Start_Command_6": "",
		"Cmd_Timeout": "10m", "Stop_Command": "true", "Stop_Command_6": "", "On_Repeat": "extend", "Cooldown": "1m",
		"Decoys": "64512", "Open": "tcp/22", "Open_For": "1h30m", "Admit": "/16,/40", "Max_Open": "1", "Hide": "reset",
		"Nft_Set": "inet filter knockers", "Nft_Set_6": "ip6 filter knockers",
	}
}

// inPlace is a file that has the directive where it belongs.
func inPlace(d Directive, name, value string) string {
	line := name
	if d.Name != "UseSyslog" {
		line += " = " + value
	}
	switch {
	case d.Section == SectionOptions:
		return "[options]\n" + line + "\n[d]\nsequence = 3,1,2\ncommand = x\n"
	case d.Name == "Sequence" || d.Name == "One_Time_Sequences":
		return "[d]\ncommand = x\n" + line + "\n"
	case strings.Contains("Open_For Admit Max_Open Hide", d.Name):
		return "[d]\nsequence = 3,1,2\nopen = udp/9\n" + line + "\n"
	}
	return "[d]\nsequence = 3,1,2\n" + line + "\n"
}

// TestDirectives holds the table that manual pages and completion are made from against the parser: under each of its
// names, in any case, a directive does something.
func TestDirectives(t *testing.T) {
	names := map[string]bool{}
	for _, d := range Directives() {
		value, known := good()[d.Name]
		if !known || d.Summary == "" || d.Default == "" || d.Section != SectionOptions && d.Section != SectionDoor {
			t.Errorf("incomplete: %+v, known here: %v", d, known)
		}
		for _, name := range append([]string{d.Name}, d.Alternatives...) {
			for _, written := range []string{name, strings.ToUpper(name), strings.ToLower(name)} {
				if _, err := Parse("f", []byte(inPlace(d, written, value))); err != nil {
					t.Errorf("%s: %v", written, err)
				}
			}
			if names[strings.ToLower(name)] {
				t.Errorf("%s is there twice", name)
			}
			names[strings.ToLower(name)] = true
		}
	}
	if len(Directives()) != len(good()) {
		t.Errorf("%d directives, %d values here", len(Directives()), len(good()))
	}
}

// TestDefaultsAsText: what the table says of defaults is what the parser starts from.
func TestDefaultsAsText(t *testing.T) {
	o, d := plain(t).Options, plain(t).Doors[0]
	want := map[string]string{
		"State": DefaultState, "Control": o.Control, "Capture": o.Capture.String(),
		"Flood_Threshold": fmt.Sprint(o.FloodThreshold), "Max_Commands": fmt.Sprint(o.MaxCommands), "Unattended": never(o.Unattended),
		"Close_At_Exit": map[bool]string{true: "yes"}[o.CloseAtExit], "Seq_Timeout": d.SeqTimeout.String(), "Cmd_Timeout": d.CmdTimeout.String(),
		"On_Repeat": d.OnRepeat.String(), "Cooldown": seconds(d.Cooldown), "Open_For": strings.TrimSuffix(d.OpenFor.String(), "0s"),
		"Max_Open": fmt.Sprint(d.MaxOpen), "Hide": d.Hide.String(),
	}
	for _, k := range Directives() {
		if text, ok := want[k.Name]; ok && text != k.Default {
			t.Errorf("%s: the table says %q, the parser %q", k.Name, k.Default, text)
		}
	}
}

func plain(t *testing.T) *Config {
	t.Helper()
	c, err := Parse("f", []byte("[d]\nsequence = 3,1,2\ncommand = x\n"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
