package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// blank are the characters that the reference trims: those of isspace(3) in the C locale. Other blanks of Unicode are
// part of a word.
const blank = " \t\n\v\f\r"

func trim(s string) string { return strings.Trim(s, blank) }

// lenient is a number as the reference reads it.
type lenient struct {
	n int32
	// exact: the number is all that the text says. fits: it did not wrap around.
	exact, fits bool
}

// leniently reads a number as the reference does (seen: as atoi(3) of glibc on 64-bit machines): blanks, a sign, as many
// digits as there are, 0 without any, and what does not fit wraps around.
func leniently(s string) lenient {
	s = strings.TrimLeft(s, blank)
	signed := len(s) > 0 && (s[0] == '-' || s[0] == '+')
	end := 0
	if signed {
		end = 1
	}
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	// ParseInt returns the nearest number where the text is out of range, as strtol(3) does, and 0 for no digits.
	wide, err := strconv.ParseInt(s[:end], 10, 64)
	n := int32(wide)
	fits := wide == int64(n) && !errors.Is(err, strconv.ErrRange)
	return lenient{n: n, exact: err == nil && fits && end == len(s), fits: fits}
}

// digits reads a number of our own directives: digits alone, between low and high.
func digits(s string, low, high int) (int, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= low && n <= high
}

// longest bounds durations; what is longer was hardly meant, and a year still fits every timer and kernel timeout.
const longest = 366 * 24 * time.Hour

// duration reads seconds, or units: 90, 90s, 10m, 1h30m. It refuses signs, fractions and units below a second.
func duration(s string) (time.Duration, bool) {
	if n, ok := digits(s, 0, math.MaxInt32); ok {
		return time.Duration(n) * time.Second, true
	}
	if strings.Trim(s, "0123456789hms") != "" {
		return 0, false
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d%time.Second == 0 && !strings.Contains(s, "ms")
}
