package logs

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// clean escapes what could end a line or speak to a terminal: a log line is one line, whoever wrote parts of it. Other
// bytes that are no UTF-8 stay, as in the reference: a door's name may be in an older encoding.
func clean(text string) string {
	if isClean(text) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1 && text[0] < 0xa0:
			// A terminal that is not set to UTF-8 takes it for a control character of one byte.
			b.WriteString(`\x` + strconv.FormatUint(uint64(text[0]), 16))
		case isControl(r):
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteString(text[:size])
		}
		text = text[size:]
	}
	return b.String()
}

// isClean is true for what clean leaves as it is, and is quick for what lines are made of as a rule.
func isClean(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}

// isControl is true for C0, DEL and C1 control characters but the tab, which shows, and for the two line ends of Unicode.
func isControl(r rune) bool {
	return r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029'
}
