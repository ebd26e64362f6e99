package config

import (
	"fmt"
	"strings"
	"time"

	"knockd/internal/packet"
)

// render writes a configuration out: what Parse makes of the text is the same configuration.
func render(c *Config) string {
	var b strings.Builder
	b.WriteString("[options]\n")
	renderOptions(&b, &c.Options)
	for i := range c.Doors {
		d := &c.Doors[i]
		fmt.Fprintf(&b, "[%s]\n", d.Name)
		renderKnock(&b, d)
		renderCommands(&b, d)
		renderNative(&b, d)
	}
	return b.String()
}

func renderOptions(b *strings.Builder, o *Options) {
	if o.UseSyslog {
		b.WriteString("UseSyslog\n")
	}
	given(b, "LogFile", o.LogFile)
	given(b, "PidFile", o.PidFile)
	given(b, "Interface", strings.Join(o.Interfaces, ","))
	var allow []string
	for _, p := range o.AlwaysAllow {
		allow = append(allow, p.String())
	}
	given(b, "Always_Allow", strings.Join(append(allow, o.AlwaysAllowInterfaces...), ","))
	given(b, "Control", orNone(o.Control))
	given(b, "Control_Group", o.ControlGroup)
	if o.StateSet {
		given(b, "State", o.State)
	}
	given(b, "Unattended", never(o.Unattended))
	given(b, "Capture", o.Capture.String())
	given(b, "Close_At_Exit", map[bool]string{true: "yes", false: "no"}[o.CloseAtExit])
	given(b, "Max_Commands", fmt.Sprint(o.MaxCommands))
	given(b, "Flood_Threshold", fmt.Sprint(o.FloodThreshold))
}

func renderKnock(b *strings.Builder, d *Door) {
	var ports []string
	for _, p := range d.Sequence {
		ports = append(ports, p.String())
	}
	given(b, "Sequence", strings.Join(ports, ","))
	given(b, "One_Time_Sequences", d.OneTimeFile)
	given(b, "Seq_Timeout", seconds(d.SeqTimeout))
	if d.FlagsSet {
		given(b, "TCPFlags", strings.Join(flagWords(d.Flags), ","))
	}
	if d.Target.IsValid() {
		given(b, "Target", d.Target.String())
	} else if strings.Contains(d.Disabled, "Target") {
		given(b, "Target", "no.address")
	}
	given(b, "Cooldown", seconds(d.Cooldown))
	given(b, "Decoys", fmt.Sprint(d.Decoys))
}

func flagWords(m packet.FlagMatch) []string {
	var words []string
	for i, name := range flagNames() {
		switch bit := packet.Flags(1) << i; {
		case m.Set&bit != 0:
			words = append(words, name)
		case m.Clear&bit != 0:
			words = append(words, "!"+name)
		}
	}
	return words
}

func renderCommands(b *strings.Builder, d *Door) {
	given(b, "Start_Command", d.Start.V4)
	given(b, "Stop_Command", d.Stop.V4)
	if d.Start.HasV6 {
		fmt.Fprintf(b, "Start_Command_6 = %s\n", d.Start.V6)
	}
	if d.Stop.HasV6 {
		fmt.Fprintf(b, "Stop_Command_6 = %s\n", d.Stop.V6)
	}
	given(b, "Cmd_Timeout", seconds(d.CmdTimeout))
	given(b, "On_Repeat", d.OnRepeat.String())
}

func renderNative(b *strings.Builder, d *Door) {
	if !d.Native() {
		return
	}
	var open []string
	for _, r := range d.Open {
		open = append(open, r.String())
	}
	given(b, "Open", strings.Join(open, ","))
	if d.Set4 != nil {
		given(b, "Nft_Set", d.Set4.String())
	}
	if d.Set6 != nil {
		given(b, "Nft_Set_6", d.Set6.String())
	}
	if len(d.Open) > 0 {
		given(b, "Hide", d.Hide.String())
	}
	given(b, "Open_For", seconds(d.OpenFor))
	given(b, "Admit", fmt.Sprintf("/%d,/%d", d.Admit4, d.Admit6))
	given(b, "Max_Open", fmt.Sprint(d.MaxOpen))
}

func given(b *strings.Builder, key, value string) {
	if value != "" {
		fmt.Fprintf(b, "%s = %s\n", key, value)
	}
}

// seconds are bare, as negative Cmd_Timeouts come to more than Parse takes with a unit.
func seconds(d time.Duration) string {
	if d == (1<<32-1)*time.Second {
		return "-1"
	}
	return fmt.Sprint(int64(d / time.Second))
}

func orNone(path string) string {
	if path == "" {
		return "none"
	}
	return path
}

func never(d time.Duration) string {
	if d == 0 {
		return "never"
	}
	return seconds(d)
}
