package config

import "strings"

// The sections of the file, as Directive.Section names them.
const (
	SectionOptions = "options"
	SectionDoor    = "door"
)

// Directive is one key of the file: what the manual page, the completion and the parser know of it.
type Directive struct {
	// Name is how we write it; keys ignore case. Alternatives are other names for the same.
	Name         string
	Alternatives []string
	// Section is SectionOptions or SectionDoor.
	Section string
	// Summary says in a line what it is for; Default is what holds without it, as text.
	Summary, Default string
}

// Directives returns every directive, in the order of the manual page. The parser knows these and no others.
func Directives() []Directive {
	var all []Directive
	for _, k := range table() {
		all = append(all, k.Directive)
	}
	return all
}

// key is a directive with what the parser does about it.
type key struct {
	Directive
	set func(p *parser, value string)
	// ours is false for what the reference has: there its way with odd values is kept, else they are refused.
	ours bool
	// alone: the key stands without "=". adds: a repeated key does not replace the earlier one.
	alone, adds bool
}

func table() []key { return append(optionKeys(), append(knockKeys(), nativeKeys()...)...) }

func optionKeys() []key {
	option := func(name, summary, standard string, ours bool, set func(*parser, string)) key {
		return key{Directive: Directive{Name: name, Section: SectionOptions, Summary: summary, Default: standard}, set: set, ours: ours}
	}
	syslog := option("UseSyslog", "log to syslog too; stands alone, without a value", "off", false, (*parser).setUseSyslog)
	syslog.alone = true
	return []key{
		syslog,
		option("LogFile", "the log file, appended to", "none", false, (*parser).setLogFile),
		option("PidFile", "the pid file, written with -d", "/var/run/knockd.pid", false, (*parser).setPidFile),
		option("Interface", "where to listen: names joined by commas, any, or default (that of the default route)",
			"eth0 if there is one, else default", false, (*parser).setInterface),
		option("Always_Allow", "addresses, networks and interfaces that no native door ever drops", "none", true, (*parser).setAlwaysAllow),
		option("Unattended", "how long hidden ports stay hidden without a daemon, or never", "never", true, (*parser).setUnattended),
		option("State", "the directory of the journal, or none", DefaultState, true, (*parser).setState),
		option("Control", "the path of the control socket, or none", DefaultControl, true, (*parser).setControl),
		option("Control_Group", "the group that may use the control socket, beside root", "none", true, (*parser).setControlGroup),
		option("Capture", "how packets are taken from the kernel: auto, ebpf or classic", "auto", true, (*parser).setCapture),
		option("Flood_Threshold", "new sources a second above which first knocks are held back in the kernel; 0: always",
			"1000", true, (*parser).setFloodThreshold),
		option("Max_Commands", "how many commands may run at once", "256", true, (*parser).setMaxCommands),
		option("Close_At_Exit", "yes or no: a clean stop runs the stop commands of what is open", "yes", true, (*parser).setCloseAtExit),
	}
}

// knockKeys are those of every door.
func knockKeys() []key {
	door := func(names, summary, standard string, ours bool, set func(*parser, string)) key {
		list := strings.Fields(names)
		return key{
			Directive: Directive{Name: list[0], Alternatives: list[1:], Section: SectionDoor, Summary: summary, Default: standard},
			set:       set, ours: ours,
		}
	}
	flags := door("TCPFlags", "flags that a TCP packet must have, or with ! before it must not have, to count", "any", false, (*parser).setTCPFlags)
	flags.adds = true
	return []key{
		door("Sequence", "the ports to knock at, each maybe with :tcp or :udp", "none", false, (*parser).setSequence),
		door("One_Time_Sequences", "a file of sequences, each good for one knock", "none", false, (*parser).setOneTime),
		door("Seq_Timeout Timeout", "how long a knock may take", "25s", false, (*parser).setSeqTimeout),
		flags,
		door("Target", "the destination that knocks must have", "any address of this machine", false, (*parser).setTarget),
		door("Start_Command Command", "run by /bin/sh when the knock is right, %IP% being the knocker", "none", false, (*parser).setStart),
		door("Start_Command_6 Command_6", "the same for a knocker on IPv6; empty: run nothing", "that of Start_Command", false, (*parser).setStart6),
		door("Cmd_Timeout", "the time between start and stop command", "10s", false, (*parser).setCmdTimeout),
		door("Stop_Command", "run Cmd_Timeout after the start command", "none", false, (*parser).setStop),
		door("Stop_Command_6", "the same for a knocker on IPv6; empty: run nothing", "that of Stop_Command", false, (*parser).setStop6),
		door("On_Repeat", "run or extend: what another knock does before the stop command ran", "run", true, (*parser).setOnRepeat),
		door("Cooldown Seq_Cooldown", "for how long after a knock more of the same source do nothing", "0", true, (*parser).setCooldown),
		door("Decoys", "how many ports, beside the neighbours of the sequence, end the knock of who touches them; 0: none at all",
			"4096 for native doors, else 0", true, (*parser).setDecoys),
	}
}

// nativeKeys are those of doors that open by nftables.
func nativeKeys() []key {
	native := func(name, summary, standard string, set func(*parser, string)) key {
		return key{Directive: Directive{Name: name, Section: SectionDoor, Summary: summary, Default: standard}, set: set, ours: true}
	}
	return []key{
		native("Open", "the ports to hide, and to open for a knocker: tcp/22, udp/5000-5010", "none", (*parser).setOpen),
		native("Open_For", "how long a native door is open after a knock", "1m", (*parser).setOpenFor),
		native("Admit", "who is let in: host, or the network around it: an IPv4 prefix of /16 to /32, an IPv6 one of /40 to /128",
			"host", (*parser).setAdmit),
		native("Max_Open", "how many may be let in at a time", "4096", (*parser).setMaxOpen),
		native("Hide", "drop, reset or rehearse: how a hidden port answers", "drop", (*parser).setHide),
		native("Nft_Set", "instead of Open: FAMILY TABLE SET of your own nftables rules, for knockers on IPv4", "none", (*parser).setNftSet),
		native("Nft_Set_6", "the same for knockers on IPv6", "none", (*parser).setNftSet6),
	}
}
