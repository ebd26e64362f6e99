package demo

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
)

// story prints what happens. Its methods may be called from several goroutines.
type story struct {
	mu  sync.Mutex
	out io.Writer
}

// tell prints lines as they are.
func (s *story) tell(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(s.out, format+"\n", args...)
}

// says prints what one of the parts did or said: "   client  hitting tcp 10.0.0.1:7000".
func (s *story) says(who, format string, args ...any) {
	s.tell("   %-7s %s", who, fmt.Sprintf(format, args...))
}

// lines is a Writer that hands whole lines, without their ends, to a function.
type lines struct {
	each func(string)
	rest bytes.Buffer
}

// Write takes part of the text; it never fails.
func (l *lines) Write(b []byte) (int, error) {
	l.rest.Write(b)
	for {
		line, err := l.rest.ReadString('\n')
		if err != nil {
			l.rest.WriteString(line)
			return len(b), nil
		}
		l.each(strings.TrimSuffix(line, "\n"))
	}
}
