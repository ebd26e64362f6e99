package onetime

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"knockd/internal/config"
)

// TestACrashAtAnyStep looks, at each step, at what a daemon that died there would leave: every line whole, and the used
// one marked once Use has returned.
func TestACrashAtAnyStep(t *testing.T) {
	for _, text := range []string{" 1,2,3\n 4,5,6\n# end\n", "1,2,3\n4,5,6\n# end\n"} {
		path := write(t, text)
		f := mustOpen(t, path)
		f.hook = func(step string) {
			left := mustOpen(t, path).Remaining()
			if len(left) != 1 && len(left) != 2 || left[len(left)-1][2].Number != 6 {
				t.Errorf("at %q: %v", step, left)
			}
			if !strings.HasSuffix(contents(t, path), "4,5,6\n# end\n") {
				t.Errorf("at %q: %q", step, contents(t, path))
			}
		}
		if err := f.Use(); err != nil {
			t.Fatal(err)
		}
		if first(t, mustOpen(t, path)) != 4 {
			t.Errorf("%q", contents(t, path))
		}
	}
}

// TestAWriteThatACrashCut leaves what a daemon leaves that died while it wrote the copy.
func TestAWriteThatACrashCut(t *testing.T) {
	path := write(t, "1,2\n3,4\n")
	copied := filepath.Join(filepath.Dir(path), ".sequences.marked")
	for cut := range len("#1,2\n3,4\n") {
		replaceText(t, copied, "#1,2\n3,4\n"[:cut])
		if first(t, mustOpen(t, path)) != 1 {
			t.Fatal("the copy counts before it is whole")
		}
	}
	if err := mustOpen(t, path).Use(); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, path); got != "#1,2\n3,4\n" {
		t.Errorf("%q", got)
	}
	if _, err := os.Lstat(copied); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the copy is still there: %v", err)
	}
}

// TestEditedOnTheWay edits the file right before it is marked: the line is found in the new file, or nothing opens.
func TestEditedOnTheWay(t *testing.T) {
	for _, before := range []string{" 1,2\n", "1,2\n"} {
		for name, edit := range map[string]func(t *testing.T, path string){
			"a line added": func(t *testing.T, path string) { replaceText(t, path, before+" 7,8\n") },
			"another file": func(t *testing.T, path string) {
				replaceText(t, path+".new", before+" 7,8\n")
				if err := os.Rename(path+".new", path); err != nil {
					t.Fatal(err)
				}
			},
		} {
			for _, step := range []string{"before a sequence is marked", "before the mark is on disk", "before a marked copy takes the place"} {
				path := write(t, before)
				f := mustOpen(t, path)
				edited := false
				f.hook = func(now string) {
					if now == step && !edited {
						edited = true
						edit(t, path)
					}
				}
				err := f.Use()
				if first(t, mustOpen(t, path)) == 1 && err == nil {
					t.Errorf("%s at %q in %q: opens, and is left: %q", name, step, before, contents(t, path))
				}
				if edited && (err != nil || first(t, f) != 7) {
					t.Errorf("%s at %q in %q: %v, current %d", name, step, before, err, first(t, f))
				}
			}
		}
	}
}

// TestTheDirectoryTakesNoCopy is a file that is mounted alone, as containers do: the # takes the first digit's place.
func TestTheDirectoryTakesNoCopy(t *testing.T) {
	path := write(t, "10,2\n3,4\n")
	f := mustOpen(t, path)
	// A directory in the copy's place is as good as a file system that makes none.
	if err := os.MkdirAll(filepath.Join(filepath.Dir(path), ".sequences.marked", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.Use(); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, path); got != "#0,2\n3,4\n" || first(t, f) != 3 {
		t.Errorf("%q, current %d", got, first(t, f))
	}
}

// TestNobodyWaitsForTheDisk asks, while a line is marked, what the event loop asks.
func TestNobodyWaitsForTheDisk(t *testing.T) {
	f := mustOpen(t, write(t, " 1,2\n 3,4\n"))
	asked := false
	f.hook = func(string) {
		asked = true
		if len(f.Remaining()) == 0 || first(t, f) == 0 || len(f.Warnings()) > 0 {
			t.Error("no answer")
		}
	}
	if err := f.Use(); err != nil || !asked {
		t.Error(err)
	}
}

func TestAFileThatCantBeWritten(t *testing.T) {
	path := write(t, " 1,2\n")
	f := mustOpen(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := f.Use(); err == nil {
		t.Error("a line was used in a file that is gone")
	}
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Use(); err == nil {
		t.Error("a line was used in a fifo")
	}
}

// FuzzUse marks every line of any file: each usable one once, in order, and nothing else changes.
func FuzzUse(f *testing.F) {
	f.Add([]byte(" 1,2\n3,4\n#5\n\n\t6\r\n7"))
	f.Add([]byte("1\n1\n 1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := write(t, string(text))
		file, err := Open(path, config.ParseSequence)
		if err != nil {
			t.Skip()
		}
		for left := file.Remaining(); len(left) > 0; left = left[1:] {
			before := []byte(contents(t, path))
			if now := file.Remaining(); len(now) != len(left) {
				t.Fatalf("%d left, want %d: %q", len(now), len(left), before)
			}
			if err := file.Use(); err != nil {
				t.Fatal(err)
			}
			if after := []byte(contents(t, path)); !oneMark(before, after) {
				t.Fatalf("%q became %q", before, after)
			}
		}
		if _, ok := mustOpen(t, path).Current(); ok {
			t.Errorf("something is left in %q", contents(t, path))
		}
	})
}

// oneMark reports whether one # was inserted, or took a blank's place.
func oneMark(before, after []byte) bool {
	for i := range after {
		if i < len(before) && before[i] == after[i] {
			continue
		}
		if after[i] != '#' {
			return false
		}
		return bytes.Equal(after[i+1:], before[i:]) || i < len(before) && bytes.Equal(after[i+1:], before[i+1:])
	}
	return false
}
