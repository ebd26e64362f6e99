package cli

import (
	"context"
	"fmt"
	"strings"

	"knockd/internal/control"
)

// rehearse reports who used the ports on rehearsal, who had knocked, and who would have been locked out.
func rehearse(_ context.Context, p *Program, args []string) error {
	a, err := parseAsked(args)
	if err != nil {
		return err
	}
	var r control.Rehearsal
	if err := ask(a.config, control.VerbRehearsed, nil, &r); err != nil {
		return err
	}
	return p.print(a, r, func() { p.printRehearsal(&r) })
}

func (p *Program) printRehearsal(r *control.Rehearsal) {
	_, _ = fmt.Fprintf(p.Stdout, "on rehearsal for %s: %s\n", round(r.Since), strings.Join(r.Doors, ", "))
	locked := 0
	for i := range r.Users {
		u := &r.Users[i]
		if u.Times > 0 {
			locked++
		}
		_, _ = fmt.Fprintf(p.Stdout, "%s %s: %s\n", u.Source, u.Door, history(u))
	}
	switch {
	case len(r.Users) == 0:
		_, _ = fmt.Fprintln(p.Stdout, "nobody used the ports")
	case locked == 0:
		_, _ = fmt.Fprintln(p.Stdout, "nobody would have been locked out: Hide = drop is safe for them")
	default:
		_, _ = fmt.Fprintf(p.Stdout, "%d would have been locked out: let them knock, or name them in Always_Allow\n", locked)
	}
}

// history is what one source did: `never knocked (nightly, 02:00)`.
func history(u *control.User) string {
	if u.Times == 0 {
		return "knocked each time"
	}
	knocked := "never knocked"
	if u.Knocked {
		knocked = "knocked at times, and came without"
	}
	return fmt.Sprintf("%s (%s)", knocked, when(u))
}

func when(u *control.User) string {
	switch {
	case u.Times == 1:
		return "once, " + u.Last.Format("2006-01-02 15:04")
	case u.Days > 1 && len(u.Hours) == 1 && (u.Hours[0] >= 22 || u.Hours[0] < 6):
		return fmt.Sprintf("nightly, %02d:00", u.Hours[0])
	case u.Days > 1 && len(u.Hours) == 1:
		return fmt.Sprintf("daily, %02d:00", u.Hours[0])
	}
	return fmt.Sprintf("%d times on %d days, last %s", u.Times, u.Days, u.Last.Format("2006-01-02 15:04"))
}
