package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"knockd/internal/control"
)

// status shows what the daemon does: interfaces, doors, who is in and for how long.
func status(_ context.Context, p *Program, args []string) error {
	a, err := parseAsked(args)
	if err != nil {
		return err
	}
	var s control.Status
	if err := ask(a.config, control.VerbStatus, nil, &s); err != nil {
		return err
	}
	return p.print(a, s, func() { p.printStatus(&s) })
}

func (p *Program) printStatus(s *control.Status) {
	w := tabwriter.NewWriter(p.Stdout, 0, 8, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("knockd", "%s, process %d, up %s", s.Daemon, s.PID, round(s.Uptime))
	row("config", "%s", s.Config)
	for _, warning := range s.Warnings {
		row("WARNING", "%s", warning)
	}
	if s.Trial > 0 {
		row("trial", "taken back in %s unless knockd confirm comes", round(s.Trial))
	}
	for _, i := range s.Interfaces {
		row("interface", "%s (%s)", i.Name, i.State)
	}
	row("packets", "%s (%s backend)", packets(s.Capture), or(s.Backend, "no"))
	row("knocking", "%d sources", s.Engine.Sources)
	row("hidden", "%s", or(strings.Join(s.Hidden, ", "), "nothing"))
	for _, d := range s.Doors {
		row("door", "%s", describe(d))
		for _, g := range d.Open {
			row("", "  %s %s", g.Source, remaining(g.Left))
		}
	}
	_ = w.Flush()
}

// packets says how many were seen; in a flood strangers' first ones wait in the kernel.
func packets(c control.CaptureStatus) string {
	text := fmt.Sprintf("%d received, %d lost, %d unreadable", c.Received, c.Dropped, c.Refused)
	if c.Held > 0 {
		text += fmt.Sprintf(", %d held back in a flood", c.Held)
	}
	return text
}

// describe is one door in a line.
func describe(d control.DoorStatus) string {
	text := d.Name + " (" + d.Kind
	if d.Hide != "" {
		text += ", hide by " + d.Hide
	}
	text += ")"
	if d.Opens != "" {
		text += " opens " + d.Opens
	}
	if d.Sequences != nil {
		text += fmt.Sprintf(", %d one-time sequences left", *d.Sequences)
	}
	if d.Disabled != "" {
		text += ": never opens, " + d.Disabled
	}
	if len(d.Open) == 0 {
		return text + ": nobody is in"
	}
	return text + ":"
}

func remaining(left time.Duration) string {
	if left < 0 {
		return "(its start command runs)"
	}
	return "for " + round(left)
}

func round(d time.Duration) string {
	if d > time.Hour {
		return d.Round(time.Minute).String()
	}
	return d.Round(time.Second).String()
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
