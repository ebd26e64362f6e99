// Package setup is `knockd init`: it writes a first knockd.conf for this machine and says what to do next. It asks
// nothing and never touches a file that is there.
package setup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"knockd/internal/packet"
)

// Options are what the machine and the caller say.
type Options struct {
	// Path is the file to write.
	Path string
	// Port is the TCP port to hide; 0: the one that sshd listens on.
	Port uint16
	// Root is where /proc and /etc are looked for; "/" but in tests.
	Root string
	// SSHConnection is the environment variable SSH_CONNECTION, empty outside of an ssh session.
	SSHConnection string
	// Taken are ports that the sequence must not hold, beside those found in use.
	Taken []packet.Port
	// Random is the system's random source.
	Random io.Reader
}

// ErrExists is returned where there is a file already.
var ErrExists = errors.New("there is one already, and it is left as it is")

// Result is what was written.
type Result struct {
	Path     string
	Port     uint16
	Sequence []uint16
	Host     string
}

// Write draws a sequence and writes the file with mode 0600.
func Write(o Options) (*Result, error) {
	if o.Root == "" {
		o.Root = "/"
	}
	port := o.Port
	if port == 0 {
		port = sshPort(o)
	}
	sequence, err := draw(o.Random, avoid(o, port))
	if err != nil {
		return nil, fmt.Errorf("drawing a sequence: %w", err)
	}
	r := &Result{Path: o.Path, Port: port, Sequence: sequence, Host: host(o)}
	if err := create(o.Path, r.text()); err != nil {
		return nil, err
	}
	return r, nil
}

func create(path, text string) error {
	// A configuration that is there was somebody's work, even where it is an empty file or a broken link.
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("writing %s: %w", path, ErrExists)
	}
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		_ = os.Remove(path)
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return nil
}

func (r *Result) text() string {
	return fmt.Sprintf(`# Written by knockd init; knockd.conf(5) explains every directive.
# Whoever reads the sequence can open the door: keep this file readable by root alone.
[options]
	UseSyslog
	Interface  = default
	# With no daemon for that long the port is shown again, and the service's own login guards it. Without this line
	# a machine whose daemon never comes back can be reached by its console alone.
	Unattended = 24h

[ssh]
	Sequence    = %s
	Seq_Timeout = 15s
	Open        = tcp/%d
	Open_For    = 1m
`, join(r.Sequence, ","), r.Port)
}

// KnockLine is the command that opens the door, to be kept.
func (r *Result) KnockLine() string {
	return "knock -d 100 " + r.Host + " " + join(r.Sequence, " ")
}

// NextSteps tells a person what to do now.
func (r *Result) NextSteps(w io.Writer) error {
	ssh := "ssh " + r.Host
	if r.Port != 22 {
		ssh = fmt.Sprintf("ssh -p %d %s", r.Port, r.Host)
	}
	_, err := fmt.Fprintf(w, `wrote %s: tcp port %d will be hidden, and opens for a minute to whoever knocks
nothing is hidden yet. Keep this line where you keep passwords:

  %s

Then, without closing this session:
  1. here:       knockd try 5m     hides the port; all is taken back after 5 minutes
  2. elsewhere:  %s && %s
  3. there:      knockd confirm    keeps it
`, r.Path, r.Port, r.KnockLine(), r.KnockLine(), ssh)
	return err
}

func join(ports []uint16, separator string) string {
	var words []string
	for _, p := range ports {
		words = append(words, fmt.Sprint(p))
	}
	return strings.Join(words, separator)
}
