package doors

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"knockd/internal/daemontest"
	"knockd/internal/netlab/netlabtest"
)

// TestByHandNeedsSomethingToClose: closing what is not open is refused, and so is a length that no command keeps.
func TestByHandNeedsSomethingToClose(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.start(ssh + "[command]\n\tSequence = 1,3,2\n\tStart_Command = true\n")
	if out := l.knockd("close", "ssh", "10.0.0.9"); !strings.Contains(out, "ssh: not known to be open for 10.0.0.9") {
		t.Errorf("%s", out)
	}
	if out := l.refused("close", "command", "10.0.0.9"); !strings.Contains(out, "command is not open for 10.0.0.9") {
		t.Errorf("%s", out)
	}
	if out := l.refused("open", "command", "10.0.0.9", "1h"); !strings.Contains(out, "Cmd_Timeout") {
		t.Errorf("%s", out)
	}
	l.knockd("open", "command", "10.0.0.9")
}

// TestAnotherSocket changes the control socket: the verbs find the daemon where it listens, before and after the reload.
func TestAnotherSocket(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.start(ssh)
	other := filepath.Join(l.dir, "other", "control.sock")
	netlabtest.Check(t, os.WriteFile(l.conf(), []byte("[options]\n\tControl = "+other+"\n\tState = "+l.dir+"/state\n"+ssh), 0o600))
	l.knockd("reload")
	daemontest.Eventually(t, "the new socket", func() bool { _, err := os.Stat(other); return err == nil })
	l.knockd("status")
	if status := d.Stop(); status != 0 {
		t.Errorf("status %d", status)
	}
}

// TestATryThatCannotStart leaves nothing behind: no hidden port, and no mark on the file.
func TestATryThatCannotStart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	text := daemontest.Isolate("[options]\n\tInterface = eth0\n\tPidFile = /proc/none/pid\n"+ssh, l.dir)
	netlabtest.Check(t, os.WriteFile(l.conf(), []byte(text), 0o600))
	if out := l.refused("try", "60s"); !strings.Contains(out, "pid") {
		t.Errorf("%s", out)
	}
	l.open(true)
	l.start(text) // not by -d: no pid file is written, and the file is a good one
	l.open(false)
}
