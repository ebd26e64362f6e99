package onetime

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"knockd/internal/config"
	"knockd/internal/netlab/netlabtest"
)

func TestMain(m *testing.M) { os.Exit(netlabtest.Leaks(m)) }

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sequences")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustOpen(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(path, config.ParseSequence)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func contents(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func first(t *testing.T, f *File) uint16 {
	t.Helper()
	sequence, ok := f.Current()
	if !ok {
		return 0
	}
	return sequence[0].Number
}

func TestUse(t *testing.T) {
	for _, test := range []struct{ name, before, after string }{
		{"a leading blank gives way", " 1,2,3\n 4,5,6\n", "#1,2,3\n 4,5,6\n"},
		{"a leading tab too", "\t1,2,3\n 4,5,6\n", "#1,2,3\n 4,5,6\n"},
		{"a line without one is kept whole", "1,2,3\n4,5,6\n", "#1,2,3\n4,5,6\n"},
		{"comments and empty lines are skipped", "# notes\n\n#9,9\n 1,2,3\n 4,5\n", "# notes\n\n#9,9\n#1,2,3\n 4,5\n"},
		{"no newline at the end", " 4,5,6", "#4,5,6"},
		{"line ends of another system", " 1,2\r\n 4,5\r\n", "#1,2\r\n 4,5\r\n"},
		{"what is no sequence is passed over", " none\n 1,2\n", " none\n#1,2\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := write(t, test.before)
			f := mustOpen(t, path)
			if err := f.Use(); err != nil {
				t.Fatal(err)
			}
			if got := contents(t, path); got != test.after {
				t.Errorf("%q, want %q", got, test.after)
			}
			again := mustOpen(t, path)
			if first(t, f) != first(t, again) || len(f.Remaining()) != len(again.Remaining()) {
				t.Errorf("in memory %v, on disk %v", f.Remaining(), again.Remaining())
			}
		})
	}
}

func TestEveryLineOnce(t *testing.T) {
	f := mustOpen(t, write(t, " 1,2\n3,4\n\t5:udp,6\n7\n"))
	var used []uint16
	for first(t, f) != 0 {
		used = append(used, first(t, f))
		if err := f.Use(); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(used, []uint16{1, 3, 5, 7}) {
		t.Errorf("used %v", used)
	}
	if err := f.Use(); err == nil {
		t.Error("a line was used where none is left")
	}
}

func TestModeAndLinksAreKept(t *testing.T) {
	path := write(t, "1,2\n")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := mustOpen(t, path).Use(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	names, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(names) != 1 {
		t.Errorf("left behind: %v, %v", names, err)
	}
}

func TestTheFileWasEdited(t *testing.T) {
	t.Run("the line moved", func(t *testing.T) {
		path := write(t, " 1,2\n 3,4\n")
		f := mustOpen(t, path)
		replaceText(t, path, "# new head\n 9,9,9\n 1,2\n 3,4\n")
		if err := f.Use(); err != nil {
			t.Fatal(err)
		}
		if got := contents(t, path); got != "# new head\n 9,9,9\n#1,2\n 3,4\n" {
			t.Errorf("%q", got)
		}
		if first(t, f) != 9 {
			t.Errorf("current is %d", first(t, f))
		}
	})
	t.Run("the line is gone", func(t *testing.T) {
		path := write(t, " 1,2\n 3,4\n")
		f := mustOpen(t, path)
		replaceText(t, path, " 5,6\n")
		if err := f.Use(); !errors.Is(err, ErrChanged) {
			t.Errorf("error %v", err)
		}
		if got := contents(t, path); got != " 5,6\n" {
			t.Errorf("%q was written", got)
		}
		if first(t, f) != 5 {
			t.Errorf("current is %d", first(t, f))
		}
	})
}

func replaceText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	path := write(t, " 1,2\n")
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	open := write(t, " 1,2\n")
	if err := os.Chmod(open, 0o602); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"a link": link, "a directory": dir, "writable by others": open, "absent": filepath.Join(dir, "none")} {
		if _, err := Open(path, config.ParseSequence); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestWarningsNameNoSequence(t *testing.T) {
	path := write(t, " 1234,what\n 1,2\n")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	warnings := strings.Join(mustOpen(t, path).Warnings(), "\n")
	if !strings.Contains(warnings, "line 1") || !strings.Contains(warnings, "everybody can read") || strings.Contains(warnings, "1234") {
		t.Error(warnings)
	}
}
