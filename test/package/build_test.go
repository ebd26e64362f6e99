package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"knockd/internal/netlab/netlabtest"
)

// TestReproducible builds once more, from a copy of the sources somewhere else, under another umask, language and time
// zone: the files are the same bytes.
func TestReproducible(t *testing.T) {
	tree, out := filepath.Join(t.TempDir(), "elsewhere"), t.TempDir()
	old := unix.Umask(0o077)
	err := copyTree(lab("source"), tree)
	unix.Umask(old)
	netlabtest.Check(t, err)
	netlabtest.Check(t, pack(tree, out, "ARCHES="+hostArch, "CLIENTS=windows/amd64", "TZ=Asia/Tokyo", "LANG=de_DE.UTF-8"))
	again, err := filepath.Glob(filepath.Join(out, "knock*"))
	netlabtest.Check(t, err)
	if len(again) != 4 {
		t.Errorf("built %q", again)
	}
	for _, file := range again {
		first := filepath.Join(lab("dist"), filepath.Base(file))
		if diff, err := exec.Command("cmp", first, file).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, diff)
		}
	}
}

// TestSums checks SHA256SUMS, and that it names every file.
func TestSums(t *testing.T) {
	check := exec.Command("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS")
	check.Dir = lab("dist")
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	sums, err := os.ReadFile(filepath.Join(lab("dist"), "SHA256SUMS"))
	netlabtest.Check(t, err)
	files, err := filepath.Glob(filepath.Join(lab("dist"), "knock*"))
	netlabtest.Check(t, err)
	if n := strings.Count(string(sums), "\n"); n != len(files) {
		t.Errorf("%d sums of %d files", n, len(files))
	}
}

// TestMakeInstall installs under a prefix: programs, manuals, units that name the prefix; an administrator's files are
// left alone.
func TestMakeInstall(t *testing.T) {
	dest := t.TempDir()
	mine := filepath.Join(dest, "etc/default/knockd")
	netlabtest.Check(t, os.MkdirAll(filepath.Dir(mine), 0o755))
	netlabtest.Check(t, os.WriteFile(mine, []byte("mine\n"), 0o644))
	netlabtest.Check(t, run(lab("source"), nil, "make", "install", "PREFIX=/opt/knock", "DESTDIR="+dest))
	for _, name := range []string{
		"sbin/knockd", "bin/knock", "share/man/man8/knockd.8", "share/man/man1/knock.1", "share/man/man5/knockd.conf.5",
		"lib/systemd/system/knockd.service", "lib/systemd/system/knockd-native.service", "lib/systemd/system/knockd-guard.service",
		"share/bash-completion/completions/knockd", "share/bash-completion/completions/knock", "share/zsh/site-functions/_knockd",
		"share/fish/vendor_completions.d/knockd.fish", "share/doc/knockd/examples/openrc",
	} {
		if _, err := os.Stat(filepath.Join(dest, "opt/knock", name)); err != nil {
			t.Error(err)
		}
	}
	unit, err := os.ReadFile(filepath.Join(dest, "opt/knock/lib/systemd/system/knockd.service"))
	netlabtest.Check(t, err)
	want(t, string(unit), "ExecStart=/opt/knock/sbin/knockd ")
	left, err := os.ReadFile(mine)
	netlabtest.Check(t, err)
	if string(left) != "mine\n" {
		t.Errorf("/etc/default/knockd is now %q", left)
	}
	if _, err := os.Stat(filepath.Join(dest, "etc/logrotate.d/knockd")); err != nil {
		t.Error(err)
	}
}
