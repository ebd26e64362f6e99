package config

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// differences are the real files of which we think otherwise than the reference, each with the reason, and what is
// serious about those that both accept.
func differences() map[string]struct{ why, message string } {
	return map[string]struct{ why, message string }{
		"itzg__docker-minecraft-server.conf": {
			"Seq_Cooldown, of a patched knockd, is another name of our Cooldown: accepted", "",
		},
		"sanarena__otp-port-knocking.conf": {
			"the one-time file is missing on the reference's machine: Parse opens no file, its caller refuses that", "",
		},
		"aristarkh87__docker-knockd.conf": {
			"a template: the reference reads port 0 in silence, we say that the door never opens", `"KNOCKD_PORTS" in its sequence is no port`,
		},
		"calliecameron__pi-server.conf": {
			"a template: the reference reads port 0 in silence, we say that the door never opens", `"@@@@@1@@@@@" in its sequence is no port`,
		},
	}
}

// realFiles finds the folder with configuration files from public repositories. Only a checkout beside the shared
// folder has it: they are their authors', and testdata covers the same oddities for everybody else.
func realFiles(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("KNOCKD_CONFIGS"); dir != "" {
		return dir
	}
	shared := filepath.Join("..", "..", "..", "shared")
	dir := filepath.Join(shared, "configs")
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if _, err := os.Stat(shared); err == nil && os.Getenv("CI") == "true" {
		t.Fatalf("%s is there, but %s is not", shared, dir)
	}
	t.Log("no real files beside this checkout; TestGolden covers the same oddities")
	return ""
}

// verdicts reads INDEX.tsv: by file, whether the reference accepts it.
func verdicts(t *testing.T, dir string) map[string]bool {
	t.Helper()
	file, err := os.Open(filepath.Join(dir, "INDEX.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	r := csv.NewReader(file)
	r.Comma, r.LazyQuotes = '\t', true
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	accepted := map[string]bool{}
	for _, row := range rows[1:] {
		accepted[row[0]] = row[5] == "accept"
	}
	return accepted
}

// TestRealFiles holds Parse against the reference's verdict on real files.
func TestRealFiles(t *testing.T) {
	dir := realFiles(t)
	if dir == "" {
		return
	}
	accepted := verdicts(t, dir)
	files, err := filepath.Glob(filepath.Join(dir, "*.conf"))
	if err != nil || len(files) == 0 || len(files) != len(accepted) {
		t.Fatalf("%d files, %d verdicts, %v", len(files), len(accepted), err)
	}
	used := 0
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			accept, known := accepted[name]
			if !known {
				t.Fatal("INDEX.tsv has no verdict")
			}
			if _, differs := differences()[name]; differs {
				used++
			}
			compare(t, file, accept)
		})
	}
	if used != len(differences()) {
		t.Errorf("%d of %d differences are explained for files that are not there", len(differences())-used, len(differences()))
	}
}

func compare(t *testing.T, file string, accept bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(file, text)
	explained, differs := differences()[filepath.Base(file)]
	if (err == nil) != accept && !differs {
		t.Fatalf("the reference accepts: %v; we say: %v", accept, err)
	}
	if err != nil {
		return
	}
	var serious []string
	for _, w := range c.Warnings {
		if w.Serious {
			serious = append(serious, w.Message)
		}
	}
	if len(serious) == 0 != (explained.message == "") || !strings.Contains(strings.Join(serious, "\n"), explained.message) {
		t.Errorf("serious: %q, explained: %+v", serious, explained)
	}
	if again, err := Parse(file, []byte(render(c))); err != nil || render(again) != render(c) {
		t.Errorf("written out and read again (%v) it is not the same:\n%s", err, render(c))
	}
}
