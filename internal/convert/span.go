package convert

import (
	"regexp"
	"strconv"
	"time"
)

// timeSpan reads 10, 90s, 5m, 1h30m and 1d, as nft, firewalld and sleep write them; a bare number is seconds. It refuses
// more than a year and fractions.
func timeSpan(text string) (time.Duration, bool) {
	if n, err := strconv.ParseUint(text, 10, 25); err == nil {
		return time.Duration(n) * time.Second, n > 0
	}
	m := spanParts.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	var total time.Duration
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		if m[i+1] == "" {
			continue
		}
		n, err := strconv.ParseUint(m[i+1], 10, 25)
		if err != nil {
			return 0, false
		}
		total += time.Duration(n) * unit
	}
	return total, total > 0 && total <= 366*24*time.Hour
}

var spanParts = regexp.MustCompile(`^(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?$`)
