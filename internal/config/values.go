package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// These read the values of our own directives, and refuse what is not exactly right.

// number reads a number between low and high.
func (p *parser) number(name, value string, low, high int, to *int) {
	n, ok := digits(value, low, high)
	if !ok {
		p.fail(fmt.Sprintf("%s: %q is no number from %d to %d", name, value, low, high), "")
		return
	}
	*to = n
}

// span reads a duration of at least low.
func (p *parser) span(name, value string, low time.Duration, to *time.Duration) {
	d, ok := duration(value)
	switch {
	case !ok:
		p.fail(fmt.Sprintf("%s: %q is no duration", name, value), "write seconds, or 90s, 10m, 1h, 1h30m")
	case d < low:
		p.fail(fmt.Sprintf("%s: %s is too short", name, value), fmt.Sprintf("the least is %ds", low/time.Second))
	case d > longest:
		p.fail(fmt.Sprintf("%s: %s is too long", name, value), fmt.Sprintf("the most is %dh", longest/time.Hour))
	default:
		*to = d
	}
}

// choose reads one of several words, case ignored.
func choose[T ~uint8](p *parser, name, value string, words []string, to *T) {
	i := slices.IndexFunc(words, func(w string) bool { return strings.EqualFold(w, value) })
	if i < 0 {
		p.fail(fmt.Sprintf("%s: unknown value %q", name, value), "write "+either(words))
		return
	}
	*to = T(i)
}

func either(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func (p *parser) yes(name, value string) bool {
	var no uint8
	choose(p, name, value, []string{"yes", "no"}, &no)
	return no == 0
}

// pathOrNone reads an absolute path (the daemon's own directory is no place to count from), or none.
func (p *parser) pathOrNone(name, value, none string) string {
	switch {
	case strings.EqualFold(value, "none"):
		return none
	case !strings.HasPrefix(value, "/"):
		p.fail(fmt.Sprintf("%s: %q is no absolute path", name, value), "begin it with /, or write none")
	}
	return value
}
