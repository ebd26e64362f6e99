package logs

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const patience = 20 * time.Second

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

// slow is a target that hangs until it is let go.
type slow struct {
	release chan struct{}
	got     []string
}

func (s *slow) write(batch []entry) (int, error) {
	<-s.release
	for _, e := range batch {
		s.got = append(s.got, e.text)
	}
	return len(batch), nil
}

func (s *slow) reopen() error { s.got = append(s.got, "reopened"); return nil }

func (s *slow) close() {}

// TestNoOrderIsLost fills the queue of a target that hangs: the order to reopen keeps its place all the same, and each gap
// is said where it is.
func TestNoOrderIsLost(t *testing.T) {
	target := &slow{release: make(chan struct{})}
	s := newSink("slow one", target, func(*sink, string) {})
	s.put(entry{text: "first"})
	eventually(t, "the first line is not taken", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.lines == 0
	})
	for range queued {
		s.put(entry{text: "line"})
	}
	for range 7 {
		s.put(entry{text: "gone"})
	}
	s.put(entry{reopen: true})
	s.put(entry{reopen: true})
	for range 3 {
		s.put(entry{text: "gone"})
	}
	s.end()
	close(target.release)
	<-s.ended
	want := []string{"7 lines left out: the slow one is too slow", "reopened", "3 lines left out: the slow one is too slow"}
	if got := target.got; len(got) != 1+queued+len(want) || strings.Join(got[1+queued:], "\n") != strings.Join(want, "\n") {
		t.Errorf("%d entries, at the end %q", len(got), got[min(len(got), 1+queued):])
	}
}

func TestAFIFOThatNobodyReadsYet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr buffer
	l := open(t, Config{File: path, Stderr: &stderr})
	defer l.Close()
	l.Line("one")
	eventually(t, "nothing says that nobody reads", func() bool { return strings.Contains(stderr.String(), "can't be written") })
	reader, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	l.Line("two")
	eventually(t, "the loss is not said", func() bool { return strings.Contains(stderr.String(), "written again, 1 lines were lost") })
	got := make([]byte, 1000)
	if n, err := reader.Read(got); err != nil || !strings.Contains(string(got[:n]), " two\n") {
		t.Errorf("%q, %v", got[:n], err)
	}
}

// TestALineThatAFullDiskCut shows that the next line begins on a line of its own, and that a rotation begins a clean file.
func TestALineThatAFullDiskCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for _, rotated := range []bool{false, true} {
		l, err := openFile(path)
		if err != nil {
			t.Fatal(err)
		}
		l.torn = true
		if rotated {
			if err := os.Rename(path, path+".1"); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.reopen(); err != nil {
			t.Fatal(err)
		}
		if _, err := l.write([]entry{{text: "next", at: noon()}}); err != nil {
			t.Fatal(err)
		}
		l.close()
		if got := read(t, path); strings.HasPrefix(got, "\n") == rotated {
			t.Errorf("rotated %v: %q", rotated, got)
		}
	}
}

// nobodyReadsEnv tells the test program to write to a standard output that is broken, and names the log file.
const nobodyReadsEnv = "KNOCKD_TEST_NOBODY_READS"

// TestNobodyReadsStdout shows that a daemon outlives who read its lines.
func TestNobodyReadsStdout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), nobodyReadsEnv+"="+path)
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Run()
	_ = w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); !strings.Contains(got, " last\n") || strings.Count(got, "standard output can't be written") != 1 {
		t.Error(got)
	}
}

func nobodyReads(path string) int {
	l, err := New(Config{File: path, Stdout: os.Stdout, Stderr: os.Stderr})
	if err != nil {
		return 1
	}
	l.Line("first")
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), "standard output can't be written") {
			break
		}
	}
	l.Line("last")
	l.Close()
	return 0
}

// hanging blocks whoever writes to it for good.
type hanging struct{ release chan struct{} }

func (h hanging) Write(p []byte) (int, error) { <-h.release; return len(p), nil }

// TestStderrThatHangs shows that a log file in trouble is not held up by who is told of it.
func TestStderrThatHangs(t *testing.T) {
	release := make(chan struct{})
	var out buffer
	l := open(t, Config{File: "/dev/full", Stdout: &out, Stderr: io.Writer(hanging{release})})
	for i := range 100 {
		l.Line(fmt.Sprint(i))
	}
	eventually(t, "the lines do not come", func() bool { return strings.Contains(out.String(), "\n99\n") })
	eventually(t, "the file stands still", func() bool {
		l.file.mu.Lock()
		defer l.file.mu.Unlock()
		return l.file.lines == 0
	})
	close(release)
	l.Close()
}

func FuzzClean(f *testing.F) {
	f.Add("plain")
	f.Add("a\nb\x1b[31mc\u009bd\x9b\xff\u2028")
	f.Fuzz(func(t *testing.T, text string) {
		got := clean(text)
		if clean(got) != got {
			t.Errorf("%q became %q, and that %q", text, got, clean(got))
		}
		for _, c := range []byte(got) {
			if c < ' ' && c != '\t' || c == 0x7f {
				t.Errorf("%q became %q", text, got)
			}
		}
	})
}

// TestADiskThatCutsABatch lets a file grow to each size, as a disk that fills up: what is written whole counts, the line
// that was cut is lost, and every line behind it is there once there is room again.
func TestADiskThatCutsABatch(t *testing.T) {
	batch := []entry{{text: "one", at: noon()}, {text: "two", at: noon()}, {text: "three", at: noon()}}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	for room := range 70 {
		path := filepath.Join(dir, "log")
		if err := os.WriteFile(path, []byte(strings.Repeat("x", 4095-room)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := openFile(path)
		if err != nil {
			t.Fatal(err)
		}
		n, err := l.write(batch)
		if (n == len(batch)) != (err == nil) {
			t.Fatalf("room for %d bytes: %d lines, %v", room, n, err)
		}
		whole := strings.Count(read(t, path), "\n") - 1
		if whole != n || l.torn != !strings.HasSuffix(read(t, path), "\n") {
			t.Fatalf("room for %d bytes: %d lines of %d, torn %v", room, n, whole, l.torn)
		}
		l.close()
	}
}
