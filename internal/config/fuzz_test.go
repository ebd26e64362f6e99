package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

// FuzzParse: whatever the bytes, an error or a warning points into the file, and a configuration that loads says the
// same when it is written out and read again.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.conf")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("f", text)
		lines := bytes.Count(text, []byte("\n")) + 1
		if err != nil {
			checkErrors(t, err, lines)
			return
		}
		for _, w := range c.Warnings {
			if w.Line < 0 || w.Line > lines || w.Message == "" {
				t.Errorf("of %d lines: %+v", lines, w)
			}
		}
		for i := range c.Doors {
			checkDoor(t, &c.Doors[i])
		}
		again, err := Parse("f", []byte(render(c)))
		if err != nil {
			t.Fatalf("written out it is refused: %v\n%s", err, render(c))
		}
		same(t, c, again)
	})
}

func checkErrors(t *testing.T, err error, lines int) {
	var several Errors
	if !errors.As(err, &several) || len(several) == 0 {
		t.Fatalf("not of type Errors: %v", err)
	}
	if !slices.IsSortedFunc(several, func(a, b Error) int { return a.Line - b.Line }) {
		t.Errorf("not in the order of the file: %v", several)
	}
	for _, e := range several {
		if e.Line < 1 || e.Line > lines || e.Message == "" || e.File != "f" {
			t.Errorf("of %d lines: %+v", lines, e)
		}
	}
}

// checkDoor holds a door to what the doc comments promise.
func checkDoor(t *testing.T, d *Door) {
	zero := false
	for _, p := range d.Sequence {
		zero = zero || p.Number == 0
	}
	ok := d.Name != "" && len(d.Name) <= 127 && len(d.Sequence) <= 32 && (len(d.Sequence) > 0) != (d.OneTimeFile != "") &&
		(!zero && d.SeqTimeout > 0 || d.Disabled != "") && d.CmdTimeout >= 0 && d.OpenFor > 0 &&
		d.Admit4 >= 16 && d.Admit4 <= 32 && d.Admit6 >= 40 && d.Admit6 <= 128 &&
		(len(d.Open) == 0 || d.Set4 == nil && d.Set6 == nil && !d.Target.IsValid()) && d.Flags.Set&d.Flags.Clear == 0
	if !ok {
		t.Errorf("door %+v", d)
	}
}

// same compares all but where things stand, and the words for what never opens.
func same(t *testing.T, a, b *Config) {
	a.Warnings, b.Warnings = nil, nil
	for _, c := range []*Config{a, b} {
		for i := range c.Doors {
			d := &c.Doors[i]
			d.Line = 0
			if d.Disabled != "" {
				d.Disabled = "never"
			}
		}
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("read:\n%+v\nwritten out and read again:\n%+v", a, b)
	}
}

// FuzzParseSequence: what is good for a one-time line has ports that can be knocked at, and is the same when written out.
func FuzzParseSequence(f *testing.F) {
	for _, s := range []string{"7000,8000:udp, 9000 : TCP", "0", "-1", "1,", "65536", "4294967297", "7000 8000", ":udp", "1:sctp"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ports, err := ParseSequence(s)
		if err != nil {
			return
		}
		var written []byte
		for _, p := range ports {
			if p.Number == 0 {
				t.Fatalf("%q has port 0", s)
			}
			written = append(append(written, p.String()...), ',')
		}
		again, err := ParseSequence(string(bytes.TrimSuffix(written, []byte(","))))
		if err != nil || !slices.Equal(again, ports) || len(ports) < 1 || len(ports) > 32 {
			t.Fatalf("%q is %v, and then %v, %v", s, ports, again, err)
		}
	})
}
