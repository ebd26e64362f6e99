package logs

import (
	"fmt"
	"net"
	"strconv"
	"time"
)

// syslog speaks to the local daemon as syslog(3) does: facility user, level notice, identity knockd. The standard
// library's package adds a process number, which the reference's lines don't have.
type syslog struct {
	path string
	conn net.Conn
}

const (
	syslogPath = "/dev/log"
	// priority is user.notice: facility 1, severity 5 (RFC 3164, section 4.1.1).
	priority = 1<<3 | 5
	// syslogTime bounds a write to a daemon that does not read.
	syslogTime = 2 * time.Second
)

func newSyslog() *syslog { return &syslog{path: syslogPath} }

func (s *syslog) write(batch []entry) (int, error) { return each(batch, s.line) }

func (s *syslog) line(e entry) error {
	line := "<" + strconv.Itoa(priority) + ">" + e.at.Format(time.Stamp) + " knockd: " + e.text
	if s.conn != nil {
		if s.send(line) == nil {
			return nil
		}
		s.close() // the daemon was restarted, as a rule
	}
	if err := s.dial(); err != nil {
		return err
	}
	return s.send(line)
}

func (s *syslog) dial() error {
	var err error
	for _, network := range []string{"unixgram", "unix"} {
		if s.conn, err = net.DialTimeout(network, s.path, syslogTime); err == nil {
			return nil
		}
	}
	s.conn = nil
	return fmt.Errorf("connecting to syslog: %w", err)
}

func (s *syslog) send(line string) error {
	if _, ok := s.conn.RemoteAddr().(*net.UnixAddr); ok && s.conn.RemoteAddr().Network() == "unix" {
		line += "\n" // a stream needs an end to its lines
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(syslogTime)); err != nil {
		return err
	}
	_, err := s.conn.Write([]byte(line))
	return err
}

func (s *syslog) reopen() error { return nil }

func (s *syslog) close() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}
