package packages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	conf "knockd/internal/config"
	"knockd/internal/netlab/netlabtest"
)

// documents are those whose commands a reader may type.
func documents(t *testing.T) []string {
	t.Helper()
	list := []string{"README.md", "SECURITY.md", "CONTRIBUTING.md"}
	for _, pattern := range []string{"docs/guides/*.md", "packaging/examples/*/README.md"} {
		found, err := filepath.Glob(repository + "/" + pattern)
		netlabtest.Check(t, err)
		for _, path := range found {
			name, err := filepath.Rel(repository, path)
			netlabtest.Check(t, err)
			list = append(list, name)
		}
	}
	return list
}

// world is where the commands of a document are run.
type world struct {
	t              *testing.T
	server, client *machine
	// source is a copy of the sources.
	source string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	p := netlabtest.NewPair(t)
	w := &world{t: t, server: newMachine(t, p.Server), client: newMachine(t, p.Client)}
	w.client.unpackKnock()
	serveSSH(w.server, w.client)
	w.client.write("/root/.ssh/config", 0o600, "Host *\n\tBatchMode yes\n\tStrictHostKeyChecking no\n\tLogLevel ERROR\n\tConnectTimeout 30\n")
	w.server.install(built(t, "*-linux-"+hostArch+".deb"))
	w.server.write("/usr/bin/docker", 0o755, "#!/bin/sh\necho \"docker $*\" >>/root/docker.calls\n")
	w.server.write("/root/debug.conf", 0o600, plainDoor)
	for _, m := range []*machine{w.server, w.client} {
		m.write("/etc/hosts", 0o644, "127.0.0.1 localhost\n10.0.0.1 server.example.org\n")
	}
	return w
}

// example is a file of the sources.
func (w *world) example(name string) string {
	w.t.Helper()
	text, err := os.ReadFile(repository + "/" + name)
	netlabtest.Check(w.t, err)
	return string(text)
}

// TestDocuments runs every command that a document names, as it is written; one that no scenario knows fails.
func TestDocuments(t *testing.T) {
	for _, name := range documents(t) {
		t.Run(name, func(t *testing.T) {
			d := readDocument(t, name)
			var w *world
			done := map[string]bool{}
			for _, c := range d.commands {
				s, known := scenarios[c.text]
				switch {
				case !known:
					t.Errorf("%s:%d: no scenario for %q: add one to test/package/scenario_test.go", name, c.line, c.text)
				case done[c.text]:
				case s.covered != "":
					s.wantCovered(t, c)
				default:
					if w == nil {
						w = newWorld(t)
					}
					w.play(c, s)
				}
				done[c.text] = true
			}
		})
	}
}

// wantCovered makes sure that the command is where it is said to be run.
func (s scenario) wantCovered(t *testing.T, c command) {
	t.Helper()
	text, err := os.ReadFile(repository + "/" + s.covered)
	netlabtest.Check(t, err)
	word := c.text
	if s.covered == "Makefile" {
		word = strings.TrimPrefix(c.text, "make ") + ":"
	}
	want(t, string(text), word)
}

func (w *world) play(c command, s scenario) {
	w.t.Helper()
	if s.before != nil {
		s.before(w)
	}
	line := c.text
	if s.run != "" {
		line = s.run
	}
	out, code := w.typed(line, s)
	if (code != 0) != s.fails {
		w.t.Errorf("line %d: %s: exit status %d\n%s", c.line, line, code, out)
		return
	}
	want(w.t, out, s.says)
	if s.after != nil {
		s.after(w)
	}
}

// typed runs the line where the scenario says.
func (w *world) typed(line string, s scenario) (string, int) {
	w.t.Helper()
	switch {
	case s.source:
		return w.inSource(line), 0
	case s.client:
		return w.client.try(line)
	case s.throughSSH:
		return w.client.try("ssh 10.0.0.1 " + line)
	}
	return w.server.try(line)
}

// inSource runs a line in a copy of the sources.
func (w *world) inSource(line string) string {
	w.t.Helper()
	if w.source == "" {
		w.source = filepath.Join(w.t.TempDir(), "source")
		netlabtest.Check(w.t, copyTree(lab("source"), w.source))
	}
	out := filepath.Join(w.source, ".out")
	err := run(w.source, nil, "sh", "-c", "{ "+line+"; } >.out 2>&1")
	text, _ := os.ReadFile(out)
	if err != nil {
		w.t.Errorf("%s: %v\n%s", line, err, text)
	}
	return string(text)
}

// TestDocumentedConfigurations loads every piece of configuration that a document shows.
func TestDocumentedConfigurations(t *testing.T) {
	for _, name := range documents(t) {
		for _, c := range readDocument(t, name).configs {
			text := c.text
			if !strings.HasPrefix(text, "[") {
				text = "[door]\n" + text
			}
			if _, err := conf.Parse(name, []byte(text)); err != nil {
				t.Errorf("%s:%d: %v", name, c.line, err)
			}
		}
	}
}
