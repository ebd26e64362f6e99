package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"knockd/internal/advice"
	"knockd/internal/config"
	"knockd/internal/firewall"
	"knockd/internal/packet"
)

// Report is what Check found.
type Report struct {
	// Path is the file that the findings' lines are in.
	Path     string
	Findings []config.Diagnostic
	// Summary is what the configuration comes to, in a few words.
	Summary string
}

// Serious reports whether something in the file does not do what it says.
func (r *Report) Serious() bool {
	return slices.ContainsFunc(r.Findings, func(f config.Diagnostic) bool { return f.Serious })
}

// Check loads the configuration as the daemon would, and stops right before the first change to the system.
// sshConnection is the environment variable SSH_CONNECTION of whoever asks. An error is what the daemon would not start
// with.
func Check(ctx context.Context, path, sshConnection string) (*Report, error) {
	conf, err := load(path)
	if err != nil {
		return nil, err
	}
	r := &Report{Path: path, Findings: slices.Clone(conf.notes), Summary: summary(conf)}
	r.checkState(conf)
	if len(conf.rules().Doors) > 0 {
		r.checkFirewall(ctx, conf)
		r.checkSession(conf, sshConnection)
	}
	return r, nil
}

func (r *Report) warn(line int, hint, format string, args ...any) {
	r.Findings = append(r.Findings, config.Diagnostic{
		Line: line, Message: fmt.Sprintf(format, args...), Hint: hint, Serious: true,
	})
}

// note is for what a person should know but need not change.
func (r *Report) note(line int, hint, format string, args ...any) {
	r.Findings = append(r.Findings, config.Diagnostic{Line: line, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// checkState tells of a state directory that can't be used, without making it.
func (r *Report) checkState(conf *loaded) {
	o := &conf.conf.Options
	if o.State == config.StateNone || !needsState(conf) {
		return
	}
	info, err := os.Stat(o.State)
	switch {
	case os.IsNotExist(err):
		return // it is made at start
	case err != nil:
		r.warn(0, "", "the state directory can't be looked at: %v", err)
	case !info.IsDir():
		r.warn(0, "name a directory with State = DIR", "the state directory %s is no directory", o.State)
	case info.Mode().Perm()&0o022 != 0:
		r.warn(0, "chmod go-w "+o.State, "the state directory %s can be written by others", o.State)
	}
}

// checkFirewall looks at the user's sets, and at what other tables would do to what the doors open.
func (r *Report) checkFirewall(ctx context.Context, conf *loaded) {
	fw, err := firewall.NewKernel()
	if err == nil {
		for _, wrong := range fw.Check(ctx, conf.rules()) {
			r.warn(0, "", "%v", wrong)
		}
		_ = fw.Close()
	}
	findings := []advice.Finding(nil)
	if err == nil {
		findings, err = advice.Check(ctx, opensOf(conf))
	}
	if isPermission(err) {
		r.note(0, "run knockd check as root", "what other firewall tables do to opened ports was not looked at: %v", err)
		return
	}
	if err != nil {
		r.note(0, "", "what other firewall tables do to opened ports can't be read: %v", err)
		return
	}
	for _, f := range findings {
		r.warn(conf.lineOf(f.Door), f.Fix, "door %s: %s", f.Door, f.Problem)
	}
}

func opensOf(conf *loaded) []advice.Open {
	var list []advice.Open
	for _, d := range conf.doors {
		for _, p := range d.Open {
			list = append(list, advice.Open{Door: d.Name, Ports: p})
		}
	}
	return list
}

func (l *loaded) lineOf(door string) int {
	for _, d := range l.doors {
		if d.Name == door {
			return d.Line
		}
	}
	return 0
}

// checkSession warns if the session that asks would have no way back.
func (r *Report) checkSession(conf *loaded, sshConnection string) {
	fields := strings.Fields(sshConnection)
	if len(fields) != 4 {
		return
	}
	from, err := netip.ParseAddr(fields[0])
	port, portErr := strconv.ParseUint(fields[3], 10, 16)
	if err != nil || portErr != nil {
		return
	}
	from = from.Unmap().WithZone("")
	if slices.ContainsFunc(conf.conf.Options.AlwaysAllow, func(p netip.Prefix) bool { return p.Contains(from) }) {
		return
	}
	hiding, opening := doorsOf(conf, uint16(port))
	switch {
	case len(hiding) == 0:
	case len(opening) == 0:
		r.warn(hiding[0].Line, "give a door that opens it a sequence, or name your network in Always_Allow",
			"this session came by tcp/%d, which door %s hides and no door can open: there would be no way back", port, hiding[0].Name)
	default:
		r.note(hiding[0].Line, "start with knockd try 5m, and knock before you close this session",
			"this session came by tcp/%d, which will be hidden: the next one needs a knock at door %s", port, opening[0].Name)
	}
}

// doorsOf returns the doors that hide a TCP port, and those of them that can open it.
func doorsOf(conf *loaded, port uint16) (hiding, opening []*door) {
	for _, d := range conf.doors {
		for _, p := range d.Open {
			if p.Proto != packet.TCP || port < p.First || port > p.Last || d.Hide == config.HideRehearse {
				continue
			}
			hiding = append(hiding, d)
			if d.Disabled == "" {
				opening = append(opening, d)
			}
		}
	}
	return hiding, opening
}

func summary(conf *loaded) string {
	native := 0
	for _, d := range conf.doors {
		if d.Native() {
			native++
		}
	}
	switch {
	case native == 0:
		return fmt.Sprintf("good, %s with commands", doors(len(conf.doors)))
	case native == len(conf.doors):
		return fmt.Sprintf("good, %s, native", doors(native))
	}
	return fmt.Sprintf("good, %s, %d of them native", doors(len(conf.doors)), native)
}

func doors(n int) string {
	if n == 1 {
		return "1 door"
	}
	return strconv.Itoa(n) + " doors"
}
