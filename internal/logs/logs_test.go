package logs

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"knockd/internal/netlab/netlabtest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(nobodyReadsEnv); path != "" {
		os.Exit(nobodyReads(path))
	}
	netlabtest.Main(m) // in a mount namespace of its own, for disks that fill up
}

func noon() time.Time { return time.Date(2026, 3, 1, 12, 5, 59, 0, time.Local) }

// buffer is a writer that a test reads while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func open(t *testing.T, c Config) *Log {
	t.Helper()
	c.Now = noon
	l, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLinesAsTheReferenceWritesThem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var out buffer
	l := open(t, Config{File: path, Stdout: &out})
	l.Line("starting up, listening on eth0")
	l.Stdout("listening on eth0...")
	l.Line("10.0.0.2: ssh: Stage 1")
	l.Close()
	if got, want := read(t, path), "[2026-03-01 12:05] starting up, listening on eth0\n[2026-03-01 12:05] 10.0.0.2: ssh: Stage 1\n"; got != want {
		t.Errorf("log file:\n%s", got)
	}
	if got, want := out.String(), "starting up, listening on eth0\nlistening on eth0...\n10.0.0.2: ssh: Stage 1\n"; got != want {
		t.Errorf("stdout:\n%s", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestControlBytesAreEscaped(t *testing.T) {
	var out buffer
	l := open(t, Config{Stdout: &out})
	l.Line("a\nb\x1b[31mc\u009bd\te T\xfcr\x9b \u2028ü")
	l.Close()
	if got, want := out.String(), "a\\nb\\x1b[31mc\\u009bd\te T\xfcr\\x9b \\u2028ü\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestRotationLosesNoLine(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	l := open(t, Config{File: path})
	const rotations, lines = 20, 50
	for r := range rotations {
		for i := range lines {
			l.Line(fmt.Sprintf("line %d", r*lines+i))
		}
		if err := os.Rename(path, fmt.Sprintf("%s.%02d", path, r)); err != nil {
			t.Fatal(err)
		}
		l.Reopen()
		// The next rename needs the file that this order makes.
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			if _, err := os.Stat(path); err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the log was not reopened")
			}
		}
	}
	l.Close()
	names, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range names[1:] {
		all.WriteString(read(t, name))
	}
	all.WriteString(read(t, names[0]))
	got := strings.Split(strings.TrimSpace(all.String()), "\n")
	if len(got) != rotations*lines {
		t.Fatalf("%d lines, want %d", len(got), rotations*lines)
	}
	for i, line := range got {
		if !strings.HasSuffix(line, fmt.Sprintf(" line %d", i)) {
			t.Fatalf("line %d is %q", i, line)
		}
	}
}

// stuck is a sink that hangs until it is let go.
type stuck struct {
	release chan struct{}
	out     buffer
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.release
	return s.out.Write(p)
}

func TestASinkThatHangsHoldsUpNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	slow := &stuck{release: make(chan struct{})}
	l := open(t, Config{File: path, Stdout: slow})
	const lines = queued + 1000
	for i := range lines {
		l.Line(fmt.Sprintf("line %d", i))
		if i%1000 == 0 { // the file, too, has a queue that a loop without pause fills
			waitFor(t, path, fmt.Sprintf("line %d\n", i))
		}
	}
	waitFor(t, path, fmt.Sprintf("line %d\n", lines-1))
	close(slow.release)
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(slow.out.String(), "left out"); {
		if time.Now().After(deadline) {
			t.Fatal("nothing says how many lines were left out")
		}
		time.Sleep(time.Millisecond)
		l.Line("another")
	}
	l.Close()
}

func waitFor(t *testing.T, path, text string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(read(t, path), text); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q did not come", text)
		}
	}
}

func TestSyslog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	server, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	s := &syslog{path: path}
	defer s.close()
	if err := s.line(entry{text: "10.0.0.2: ssh: OPEN SESAME", at: noon()}); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 200)
	n, err := server.Read(got)
	if err != nil {
		t.Fatal(err)
	}
	if want := "<13>Mar  1 12:05:59 knockd: 10.0.0.2: ssh: OPEN SESAME"; string(got[:n]) != want {
		t.Errorf("%q, want %q", got[:n], want)
	}
}

func TestSyslogThatWasRestarted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	listen := func() *net.UnixConn {
		_ = os.Remove(path)
		server, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		return server
	}
	server := listen()
	s := &syslog{path: path}
	defer s.close()
	if err := s.line(entry{text: "one", at: noon()}); err != nil {
		t.Fatal(err)
	}
	_ = server.Close()
	if err := s.line(entry{text: "lost", at: noon()}); err == nil {
		t.Error("a line was written to nobody")
	}
	server = listen()
	defer func() { _ = server.Close() }()
	if err := s.line(entry{text: "two", at: noon()}); err != nil {
		t.Error(err)
	}
}

func TestADiskThatFillsUp(t *testing.T) {
	// /dev/full answers ENOSPC to every write (full(4)).
	var out, stderr buffer
	l := open(t, Config{File: "/dev/full", Stdout: &out, Stderr: &stderr})
	l.Line("one")
	l.Line("two")
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(stderr.String(), "can't be written"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing says that the log can't be written")
		}
	}
	l.Close()
	if n := strings.Count(stderr.String(), "can't be written"); n != 1 {
		t.Errorf("said %d times:\n%s", n, stderr.String())
	}
	if !strings.Contains(out.String(), "no space left") {
		t.Errorf("stdout:\n%s", out.String())
	}
}

func TestConfigureMovesTheFile(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	l := open(t, Config{File: one})
	l.Line("first")
	l.Configure(Config{File: two})
	l.Line("second")
	l.Close()
	if !strings.Contains(read(t, one), "first") || !strings.Contains(read(t, two), "second") {
		t.Error(read(t, one), read(t, two))
	}
}

func TestAPathThatCantBeOpened(t *testing.T) {
	if _, err := New(Config{File: filepath.Join(t.TempDir(), "no", "log")}); err == nil {
		t.Error("no error")
	}
}
