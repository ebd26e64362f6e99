package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"knockd/internal/daemontest"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

func start(t *testing.T, p *netlab.Pair, text string, args ...string) *daemontest.Daemon {
	t.Helper()
	d := daemontest.Start(t, p.Server, daemontest.Options{Config: text, Args: append([]string{"-v", "-i", "eth0"}, args...)})
	d.Wait("listening on eth0...")
	return d
}

const two = "[a]\n\tsequence = 1000,3000,2000\n\tcommand = echo a\n[b]\n\tsequence = 4000,6000,5000\n\tcommand = echo b\n"

func TestReload(t *testing.T) {
	t.Parallel()
	p := netlabtest.NewPair(t)
	d := start(t, p, two)
	daemontest.Knock(t, p.Client, p.Server4, "1000", "3000")
	daemontest.Knock(t, p.Client, p.Server6, "4000", "6000")
	d.Wait("10.0.0.2: a: Stage 2")
	d.Wait("fd00::2: b: Stage 2")
	// Door b changes, door a does not: its knock goes on.
	d.Rewrite(strings.Replace(two, "echo b", "echo changed", 1))
	d.Signal(syscall.SIGHUP)
	d.Wait("re-reading config file: " + d.Config)
	netlabtest.Run(t, p.Server, "knockd", "reload", "-c", d.Config) // returns once it is in force
	daemontest.Knock(t, p.Client, p.Server4, "2000")
	d.Wait("10.0.0.2: a: OPEN SESAME")
	daemontest.Knock(t, p.Client, p.Server6, "5000")
	daemontest.Knock(t, p.Client, p.Server6, "4000", "6000", "5000")
	d.Wait("b: running command: echo changed")
	if d.Count("fd00::2: b: OPEN SESAME") != 1 {
		t.Error("the knock at the door that changed went on")
	}
}

func TestReloadOfABadFile(t *testing.T) {
	t.Parallel()
	p := netlabtest.NewPair(t)
	d := start(t, p, two)
	d.Rewrite(two + "nonsense = 1\n")
	d.Signal(syscall.SIGHUP)
	d.Wait("knockd.conf:7: unknown directive")
	d.Wait("the configuration is unchanged")
	daemontest.Knock(t, p.Client, p.Server4, "1000", "3000", "2000")
	d.Wait("a: running command: echo a")
	if status := d.Stop(); status != 0 {
		t.Errorf("status %d", status)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	p := netlabtest.NewPair(t)
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	d := daemontest.Start(t, p.Server, daemontest.Options{
		Config: "[options]\n\tLogFile = " + log + "\n[a]\n\tsequence = 1000\n\tcommand = true\n", Args: []string{"-i", "eth0"},
	})
	const rotations = 5
	daemontest.Eventually(t, "the log", func() bool { return strings.Contains(daemontest.Read(t, log), "starting up") })
	all := func() (text string) {
		for i := range rotations {
			text += daemontest.Read(t, fmt.Sprintf("%s.%d", log, i))
		}
		return text + daemontest.Read(t, log)
	}
	for i := range rotations {
		daemontest.Knock(t, p.Client, p.Server4, "1000")
		netlabtest.Check(t, os.Rename(log, fmt.Sprintf("%s.%d", log, i)))
		d.Signal(syscall.SIGHUP)
		daemontest.Eventually(t, "a new log", func() bool { _, err := os.Stat(log); return err == nil })
	}
	daemontest.Eventually(t, "every knock in some log", func() bool {
		return strings.Count(all(), "a: OPEN SESAME") == rotations && strings.Count(all(), "re-reading") == rotations
	})
}
