package logs

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// stream is a terminal or what stands for it: lines without their time.
type stream struct {
	w io.Writer
	// prefix is before each line.
	prefix string
	// own is the descriptor to close, nil for none.
	own *os.File
}

// newStream takes a writer. Of a file it takes a second descriptor: the Go runtime ends a program that writes to a broken
// pipe at descriptor 1 or 2 (os/signal, "SIGPIPE"), and the daemon is not to end because nobody reads its lines.
func newStream(w io.Writer, prefix string) *stream {
	s := &stream{w: w, prefix: prefix}
	if file, ok := w.(*os.File); ok {
		if s.own = duplicate(file); s.own != nil {
			s.w = s.own
		}
	}
	return s
}

// duplicate returns a second descriptor of a file, nil if there is none to be had.
func duplicate(file *os.File) *os.File {
	conn, err := file.SyscallConn()
	if err != nil {
		return nil
	}
	var second *os.File
	_ = conn.Control(func(fd uintptr) {
		if n, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3); err == nil {
			second = os.NewFile(uintptr(n), file.Name())
		}
	})
	return second
}

func (s *stream) write(batch []entry) (int, error) {
	return each(batch, func(e entry) error {
		_, err := io.WriteString(s.w, s.prefix+e.text+"\n")
		return err
	})
}

func (s *stream) reopen() error { return nil }

func (s *stream) close() {
	if s.own != nil {
		_ = s.own.Close()
	}
}
