package packages

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"knockd/internal/netlab/netlabtest"
)

// sources puts the packaging, the manuals and the scripts into the machine's /src.
func (m *machine) sources() {
	m.t.Helper()
	src := filepath.Join(m.dir, "src")
	netlabtest.Check(m.t, run(".", nil, "mkdir", src))
	for _, name := range []string{"packaging", "docs", "scripts"} {
		if out, err := exec.Command("cp", "-R", filepath.Join(repository, name), src).CombinedOutput(); err != nil {
			m.t.Fatalf("%v: %s", err, out)
		}
	}
}

// TestLint asks the linters of everything that is no Go.
func TestLint(t *testing.T) {
	m := newMachine(t, netlabtest.NewNamespace(t))
	m.sources()
	m.install(built(t, "*-linux-"+hostArch+".deb"))
	t.Run("lintian", func(t *testing.T) {
		m.run("lintian --allow-root --fail-on error /root/knockd-*.deb")
	})
	t.Run("mandoc", func(t *testing.T) {
		// References to each other are found where they are installed.
		m.run("makewhatis /usr/share/man 2>/dev/null || true")
		out, _ := m.try("mandoc -T lint -W warning /src/docs/man/*")
		if out != "" {
			t.Error(out)
		}
	})
	t.Run("shellcheck", func(t *testing.T) {
		m.run(`cd /src && shellcheck -S style -e SC1091 packaging/maintain packaging/debian/post* packaging/debian/prerm packaging/rpm/* \
			packaging/openrc packaging/completion/knockd.bash scripts/package`)
	})
	t.Run("busybox ash", func(t *testing.T) {
		m.run(`cd /src/packaging && for f in maintain debian/p* rpm/* openrc; do busybox ash -n $f && sh -n $f || exit 1; done`)
	})
	t.Run("systemd verify", func(t *testing.T) {
		out, _ := m.try("for unit in knockd knockd-native knockd-guard; do systemd-analyze verify --man=no /usr/lib/systemd/system/$unit.service; done 2>&1")
		wantNone(t, out, "knockd.service:", "knockd-native.service:", "knockd-guard.service:")
	})
	t.Run("logrotate", func(t *testing.T) {
		out := m.run("logrotate -d /etc/logrotate.d/knockd 2>&1")
		wantNone(t, out, "error:")
	})
}

var exposure = regexp.MustCompile(`Overall exposure level for \S+: (\d+\.\d+)`)

// TestExposure holds what systemd thinks of the units; Debian's for knockd 0.8 has 7.4.
func TestExposure(t *testing.T) {
	m := newMachine(t, netlabtest.NewNamespace(t))
	m.sources()
	for unit, most := range map[string]float64{"knockd": 6.0, "knockd-native": 1.5} {
		out := m.run("systemd-analyze security --offline=true /src/packaging/systemd/" + unit + ".service")
		found := exposure.FindStringSubmatch(out)
		if found == nil {
			t.Fatal(out)
		}
		if level, err := strconv.ParseFloat(found[1], 64); err != nil || level > most {
			t.Errorf("%s: exposure %s, at most %v\n%s", unit, found[1], most, out)
		}
	}
}
