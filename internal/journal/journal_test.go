package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/netlab/netlabtest"
)

func TestMain(m *testing.M) { netlabtest.Main(m) }

const patience = 30 * time.Second

func entry(id uint64) Entry {
	return Entry{
		ID: id, Boot: "boot", Door: "ssh \"quoted\" \n", IP: "2001:db8::1", Stop: "iptables -D INPUT\t'ü'",
		Timeout: 10 * time.Second, Closes: time.Duration(id) * time.Minute,
	}
}

// lab is a journal that runs.
type lab struct {
	*Journal
	t    *testing.T
	stop func()
}

func run(t *testing.T, o Options) *lab {
	t.Helper()
	j, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = j.Run(ctx) }()
	stop := func() { cancel(); <-done }
	t.Cleanup(stop)
	return &lab{j, t, stop}
}

func (l *lab) wait(record func(done func(error))) error {
	l.t.Helper()
	answer := make(chan error, 1)
	record(func(err error) { answer <- err })
	select {
	case err := <-answer:
		return err
	case <-time.After(patience):
		l.t.Fatal("the journal does not answer")
		return nil
	}
}

func (l *lab) opening(id uint64) error {
	l.t.Helper()
	return l.wait(func(done func(error)) { l.Opening(entry(id), done) })
}

func (l *lab) flush() error { l.t.Helper(); return l.wait(l.Flush) }

func reopened(t *testing.T, o Options) *Journal {
	t.Helper()
	j, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return j
}

func ids(entries []Entry) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%d ", e.ID)
	}
	return strings.TrimSpace(b.String())
}

func TestWhatIsOpenIsFoundAgain(t *testing.T) {
	o := Options{Dir: filepath.Join(t.TempDir(), "state")}
	l := run(t, o)
	for id := range uint64(4) {
		if err := l.opening(id + 1); err != nil {
			t.Fatal(err)
		}
	}
	l.Started(2, time.Hour)
	l.Closed(3)
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	l.stop()
	found := reopened(t, o).Entries()
	two := entry(2)
	two.Started, two.Closes = true, time.Hour
	if want := []Entry{entry(1), two, entry(4)}; !reflect.DeepEqual(found, want) {
		t.Errorf("found %+v", found)
	}
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	run(t, Options{Dir: dir}).stop()
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, fileName): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestASecondDaemon(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l := run(t, Options{Dir: dir})
	if err := l.opening(1); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir, Strict: true}); !errors.Is(err, errLocked) {
		t.Errorf("where the directory is named: %v", err)
	}
	second := run(t, Options{Dir: dir, Retry: time.Millisecond})
	if len(second.Warnings()) != 1 || len(second.Entries()) != 0 {
		t.Errorf("by default: %q, %v", second.Warnings(), second.Entries())
	}
	l.stop()
	if err := second.opening(2); !errors.Is(err, ErrUnwritable) {
		t.Errorf("%v", err)
	}
	second.stop()
	if got := ids(reopened(t, Options{Dir: dir}).Entries()); got != "1" {
		t.Errorf("the first daemon's journal holds %q", got)
	}
}

func TestANewerVersion(t *testing.T) {
	dir := t.TempDir()
	text := record{Kind: kindHeader, Version: version + 1}.encode(nil)
	write(t, filepath.Join(dir, fileName), text)
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrNewer) {
		t.Errorf("%v", err)
	}
	if !bytes.Equal(read(t, filepath.Join(dir, fileName)), text) {
		t.Error("it was touched")
	}
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.Chmod(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestForeignFiles(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir string) error{
		"a directory that others can write": func(_ *testing.T, dir string) error { return os.Chmod(dir, 0o777) },
		"a file that others can write": func(t *testing.T, dir string) error {
			write(t, filepath.Join(dir, fileName), nil)
			return os.Chmod(filepath.Join(dir, fileName), 0o606)
		},
		"a link in its place": func(_ *testing.T, dir string) error {
			return os.Symlink("/dev/null", filepath.Join(dir, fileName))
		},
		"a fifo in its place": func(_ *testing.T, dir string) error { return unix.Mkfifo(filepath.Join(dir, fileName), 0o600) },
		"a file for a directory": func(_ *testing.T, dir string) error {
			return errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			if err := errors.Join(os.Mkdir(dir, 0o700), spoil(t, dir)); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(Options{Dir: dir, Strict: true}); err == nil {
				t.Error("it is taken where it is named")
			}
			j := reopened(t, Options{Dir: dir, Fallback: filepath.Join(t.TempDir(), "run")})
			if len(j.Warnings()) != 1 || j.place.dir != j.opts.Fallback {
				t.Errorf("by default: %q, in %q", j.Warnings(), j.place.dir)
			}
		})
	}
}

// sample is a file with six records, and the entries behind each whole prefix.
func sample() []byte {
	var text []byte
	for i, r := range []record{
		{Kind: kindHeader, Version: version},
		{Kind: kindOpening, Entry: ptr(entry(1))},
		{Kind: kindOpening, Entry: ptr(entry(2))},
		{Kind: kindStarted, ID: 1, Closes: time.Hour},
		{Kind: kindClosed, ID: 1},
		{Kind: kindOpening, Entry: ptr(entry(3))},
	} {
		r.Sequence = uint64(i)
		text = r.encode(text)
	}
	return text
}

func ptr(e Entry) *Entry { return &e }

func TestEveryCutIsSilentAndEveryRecordBeforeItCounts(t *testing.T) {
	text := sample()
	for cut := range len(text) + 1 {
		got, err := decodeAll(text[:cut])
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		end := bytes.LastIndexByte(text[:cut], '\n') + 1
		if cut < len(text) && text[cut] == '\n' {
			end = cut + 1 // nothing but the end is missing
		}
		want, _ := decodeAll(text[:end])
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("cut at %d: %v, want %v", cut, got, want)
		}
	}
}

func TestEveryDamageIsSeen(t *testing.T) {
	text := sample()
	for i := range text {
		for _, change := range []byte{1, 0x20, 0x80, text[i] ^ '\n'} {
			if change == 0 {
				continue
			}
			damaged := bytes.Clone(text)
			damaged[i] ^= change
			got, err := decodeAll(damaged)
			before := bytes.LastIndexByte(text[:i], '\n') + 1
			want, _ := decodeAll(text[:before])
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("byte %d changed by %#x: %v, want %v", i, change, got, want)
			}
			// The very last byte is the end of the last line: without it that looks like a write that was cut short.
			if err == nil && i != len(text)-1 {
				t.Fatalf("byte %d changed by %#x: no error", i, change)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(sample())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		s, _ := decodeAll(text)
		back, err := decodeAll(s.snapshot())
		if err != nil || !reflect.DeepEqual(s.list(), back.list()) {
			t.Fatalf("%v became %v, %v", s.list(), back.list(), err)
		}
	})
}

func TestDamageIsSetAside(t *testing.T) {
	dir := t.TempDir()
	text := sample()
	text[len(text)-20] ^= 1 // in the last record
	write(t, filepath.Join(dir, fileName), text)
	j := reopened(t, Options{Dir: dir})
	if got := ids(j.Entries()); got != "2" {
		t.Errorf("found %q", got)
	}
	aside, err := filepath.Glob(filepath.Join(dir, fileName+".damaged-*"))
	if err != nil || len(aside) != 1 || !bytes.Equal(read(t, aside[0]), text) {
		t.Errorf("set aside: %v, %v", aside, err)
	}
	if len(j.Warnings()) != 1 || !strings.Contains(j.Warnings()[0], aside[0]) {
		t.Errorf("warnings %q", j.Warnings())
	}
}

func TestTheFileStaysSmall(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	l := run(t, Options{Dir: dir})
	for id := uint64(1); id <= 3000; id++ {
		l.Opening(entry(id), nil)
		l.Started(id, time.Hour)
		if id > 1 {
			l.Closed(id)
		}
		if id%100 == 0 {
			if err := l.flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	l.stop()
	info, err := os.Stat(filepath.Join(dir, fileName))
	if err != nil || info.Size() > 2*grownAt {
		t.Errorf("%d bytes, %v", info.Size(), err)
	}
	if got := ids(reopened(t, Options{Dir: dir}).Entries()); got != "1" {
		t.Errorf("found %q", got)
	}
}

// notices collects what an operator is told.
type notices chan string

func (n notices) add(text string) { n <- text }

func (n notices) next(t *testing.T) string {
	t.Helper()
	select {
	case text := <-n:
		return text
	case <-time.After(patience):
		t.Fatal("nothing is said")
		return ""
	}
}

// TestAFullDisk fills a small file system under a running journal, and empties it again.
func TestAFullDisk(t *testing.T) {
	dir, fallback := filepath.Join(t.TempDir(), "disk"), filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	said := make(notices, 100)
	o := Options{Dir: dir, Fallback: fallback, Notice: said.add, Retry: 10 * time.Millisecond}
	l := run(t, o)
	if err := l.opening(1); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(dir, "filler")
	_ = os.WriteFile(filler, make([]byte, 1<<20), 0o600) // ends with ENOSPC, as it should
	id := uint64(1)
	for l.Trouble() == "" {
		if id++; id > 2000 {
			t.Fatal("the disk does not fill up")
		}
		if err := l.opening(id); err != nil {
			t.Fatalf("with a fallback: %v", err)
		}
	}
	if text := said.next(t); !strings.Contains(text, "no space left") || !strings.Contains(text, fallback) {
		t.Errorf("said %q", text)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if text := said.next(t); !strings.Contains(text, "again") {
		t.Errorf("said %q", text)
	}
	if err := l.opening(id + 1); err != nil || l.Trouble() != "" {
		t.Errorf("%v, %q", err, l.Trouble())
	}
	l.stop()
	if found := reopened(t, o).Entries(); len(found) != int(id)+1 {
		t.Errorf("%d of %d found", len(found), id+1)
	}
}

func TestACrashWhileTheDiskIsReadOnly(t *testing.T) {
	dir, fallback := filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "run")
	o := Options{Dir: dir, Fallback: fallback, Retry: time.Hour}
	l := run(t, o)
	if err := l.opening(1); err != nil {
		t.Fatal(err)
	}
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	l.stop()
	// The rest of the day is on the fallback, which knows of the closing, too.
	readOnly(t, dir)
	crashed := run(t, o)
	if err := crashed.opening(2); err != nil {
		t.Fatal(err)
	}
	crashed.Closed(1)
	if err := crashed.flush(); err != nil {
		t.Fatal(err)
	}
	crashed.stop()
	writable(t, dir)
	if got := ids(reopened(t, o).Entries()); got != "2" {
		t.Errorf("found %q", got)
	}
}

func TestMemoryAlone(t *testing.T) {
	l := run(t, Options{Dir: "/proc/nowhere"})
	if err := l.opening(1); !errors.Is(err, ErrUnwritable) {
		t.Errorf("%v", err)
	}
	if len(l.Warnings()) != 1 || !strings.Contains(l.Warnings()[0], "memory") {
		t.Errorf("%q", l.Warnings())
	}
}

// TestACrashBetweenTheSteps copies the directory at each step, and looks at what a daemon that died there would leave.
func TestACrashBetweenTheSteps(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	type crash struct {
		step string
		open string
	}
	var crashes []crash
	o := Options{Dir: dir}
	o.Hook = func(step string) {
		text, err := os.ReadFile(filepath.Join(dir, fileName))
		if err != nil {
			return // before the first snapshot
		}
		s, err := decodeAll(text)
		if err != nil {
			t.Errorf("at %s: %v", step, err)
		}
		crashes = append(crashes, crash{step, ids(s.list())})
	}
	l := run(t, o)
	if err := l.opening(1); err != nil {
		t.Fatal(err)
	}
	l.Closed(1)
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	l.stop()
	want := []crash{{"renamed", ""}, {"write", ""}, {"sync", "1"}, {"synced", "1"}, {"write", "1"}, {"sync", ""}, {"synced", ""}}
	if !reflect.DeepEqual(crashes, want) {
		t.Errorf("%v", crashes)
	}
}
