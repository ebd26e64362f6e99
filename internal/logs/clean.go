package logs

import (
	"strconv"
	"strings"
)

// clean escapes what could end a line or speak to a terminal: a log line is one line, whoever wrote parts of it.
func clean(text string) string {
	if !strings.ContainsFunc(text, isControl) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if isControl(r) {
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// isControl is true for C0, DEL and C1 control characters but the tab, which shows.
func isControl(r rune) bool {
	return r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0
}
