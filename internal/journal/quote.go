package journal

import (
	"strconv"
	"unicode/utf8"
)

// strings are the entry's, to be looked at or changed.
func (e *Entry) strings() []*string { return []*string{&e.Boot, &e.Door, &e.IP, &e.Stop} }

// isText reports whether all strings are UTF-8.
func (e *Entry) isText() bool {
	for _, s := range e.strings() {
		if !utf8.ValidString(*s) {
			return false
		}
	}
	return true
}

// quote returns a copy with the strings as Go writes them, which is text.
func (e *Entry) quote() *Entry {
	q := *e
	for _, s := range q.strings() {
		*s = strconv.Quote(*s)
	}
	return &q
}

func (e *Entry) unquote() error {
	for _, s := range e.strings() {
		plain, err := strconv.Unquote(*s)
		if err != nil {
			return err
		}
		*s = plain
	}
	return nil
}
