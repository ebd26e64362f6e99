package command

import (
	"io"
	"strings"
	"unicode/utf8"
)

// tail keeps the beginning and the end of an output of any length.
type tail struct {
	head, end []byte
	// cut is set once something between them was dropped.
	cut bool
}

const half = MaxOutput/2 - 8

// drain reads until the end, or until reading fails.
func (t *tail) drain(r io.Reader) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		t.add(buf[:n])
		if err != nil {
			return err
		}
	}
}

func (t *tail) add(p []byte) {
	room := min(half-len(t.head), len(p))
	t.head = append(t.head, p[:room]...)
	t.end = append(t.end, p[room:]...)
	if over := len(t.end) - half; over > 0 {
		t.cut = true
		t.end = append(t.end[:0], t.end[over:]...)
	}
}

// String returns what was kept on one line, control bytes escaped, at most MaxOutput bytes.
func (t *tail) String() string {
	head, end := escape(t.head), escape(t.end)
	cut := t.cut
	if len(head)+len(end) > 2*half { // escaping makes it longer
		cut = true
		end = end[max(0, len(end)-half):]
		for len(end) > 0 && !utf8.RuneStart(end[0]) {
			end = end[1:]
		}
		head = head[:min(len(head), half)]
		for len(head) > 0 && !utf8.ValidString(head) {
			head = head[:len(head)-1]
		}
	}
	if cut {
		head += " ... "
	}
	return strings.TrimSpace(strings.TrimSuffix(head+end, `\n`))
}

// escape writes control bytes, and bytes that are no UTF-8, as \n, \t, \x1b.
func escape(p []byte) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	for len(p) > 0 {
		r, size := utf8.DecodeRune(p)
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == utf8.RuneError && size == 1, r < ' ', r >= 0x7f && r < 0xa0:
			for _, c := range p[:size] {
				b.WriteString(`\x`)
				b.WriteByte(hex[c>>4])
				b.WriteByte(hex[c&15])
			}
		default:
			b.Write(p[:size])
		}
		p = p[size:]
	}
	return b.String()
}
