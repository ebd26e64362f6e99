package packages

import (
	"path/filepath"
	"sync"
	"testing"

	"knockd/internal/netlab/netlabtest"
)

// built returns the one file of the laboratory's packages that a pattern names.
func built(t *testing.T, pattern string) string {
	t.Helper()
	return only(t, filepath.Join(lab("dist"), pattern))
}

func only(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	netlabtest.Check(t, err)
	if len(files) != 1 {
		t.Fatalf("%s: %q", pattern, files)
	}
	return files[0]
}

// newer builds the packages of a later version, once.
var newer = sync.OnceValues(func() (string, error) {
	out := lab("newer")
	return out, pack(repository, out, "VERSION=99.1", "CLIENTS=", "ARCHES="+hostArch)
})

// later returns the package of a later version.
func later(t *testing.T, pattern string) string {
	t.Helper()
	dir, err := newer()
	netlabtest.Check(t, err)
	return only(t, filepath.Join(dir, pattern))
}

// install installs a package file as people do.
func (m *machine) install(file string) string {
	m.t.Helper()
	return m.run("apt-get install -y --no-install-recommends --allow-downgrades --reinstall " + m.copyIn(file) + " </dev/null")
}

// calls are the calls of systemctl since the last time.
func (m *machine) calls() string {
	m.t.Helper()
	out := m.run("touch /var/log/systemctl.calls; cat /var/log/systemctl.calls")
	m.run("rm /var/log/systemctl.calls")
	return out
}
