package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGolden compares what every file of testdata comes to, errors and hints included, with the .golden beside it.
// KNOCKD_UPDATE=1 writes them.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.conf")
	if err != nil || len(files) == 0 {
		t.Fatal("no files in testdata: ", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := outcome(filepath.Base(file), text)
			golden := strings.TrimSuffix(file, ".conf") + ".golden"
			if os.Getenv("KNOCKD_UPDATE") != "" {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s comes to\n%s\nwant\n%s", file, got, want)
			}
		})
	}
}

// outcome is the errors with their hints, or the warnings and the configuration written out.
func outcome(path string, text []byte) string {
	var b strings.Builder
	c, err := Parse(path, text)
	var several Errors
	if errors.As(err, &several) {
		for _, e := range several {
			fmt.Fprintf(&b, "refused: %s\n", e.Error())
			if e.Hint != "" {
				fmt.Fprintf(&b, "    hint: %s\n", e.Hint)
			}
		}
		return b.String()
	}
	for _, w := range c.Warnings {
		fmt.Fprintf(&b, "%s: %s\n", map[bool]string{true: "serious", false: "remark"}[w.Serious], w.In(path))
	}
	return b.String() + render(c)
}
