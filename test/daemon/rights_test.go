package daemon

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"knockd/internal/daemontest"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

// asNobody runs our daemon with few capabilities, as an ordinary user where there is another.
func asNobody(t *testing.T, n *netlab.Namespace, caps, text string) *daemontest.Daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "nobody")
	netlabtest.Check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program, err := exec.LookPath("knockd")
	netlabtest.Check(t, err)
	// The test's own copy of the program is in a directory that is root's alone.
	binary, err := os.ReadFile(program)
	netlabtest.Check(t, err)
	netlabtest.Check(t, os.WriteFile(filepath.Join(dir, "knockd"), binary, 0o755))
	conf := filepath.Join(dir, "knockd.conf")
	netlabtest.Check(t, os.WriteFile(conf, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600))
	args := []string{"--inh-caps=-all" + caps, "--ambient-caps=-all" + caps}
	if !daemontest.InUserNamespace() {
		const nobody = 65534
		netlabtest.Check(t, os.Chown(conf, nobody, nobody))
		netlabtest.Check(t, os.Chown(dir, nobody, nobody))
		args = append(args, "--reuid", "65534", "--regid", "65534", "--clear-groups")
	}
	args = append(args, "--bounding-set=-all"+caps, filepath.Join(dir, "knockd"), "-v", "-i", "eth0", "-c", conf)
	return daemontest.Start(t, n, daemontest.Options{Program: "setpriv", Command: args})
}

func TestWithoutRights(t *testing.T) {
	t.Parallel()
	p := netlabtest.NewPair(t)
	d := asNobody(t, p.Server, "", "[options]\n\tControl = none\n[one]\n\tsequence = 1000,3000\n\tcommand = true\n")
	if status := d.Exit(); status != 1 {
		t.Errorf("status %d", status)
	}
	for _, want := range []string{"CAP_NET_RAW", "setcap"} {
		if !strings.Contains(d.Output(), want) {
			t.Errorf("%s is not named", want)
		}
	}
}

func TestNetRawAlone(t *testing.T) {
	t.Parallel()
	p := netlabtest.NewPair(t)
	d := asNobody(t, p.Server, ",+net_raw", "[options]\n\tControl = none\n[one]\n\tsequence = 1000,3000\n\tcommand = echo %IP% >> DIR/out\n")
	d.Wait("listening on eth0...")
	daemontest.Knock(t, p.Client, p.Server4, "1000", "3000")
	d.Wait("one: OPEN SESAME")
	d.Wait("one: running command")
}

func TestNativeDoorsNeedNetAdmin(t *testing.T) {
	t.Parallel()
	p := netlabtest.NewPair(t)
	d := asNobody(t, p.Server, ",+net_raw", "[options]\n\tControl = none\n\tState = none\n[one]\n\tsequence = 1000,3000\n\topen = tcp/22\n")
	if status := d.Exit(); status != 1 || !strings.Contains(d.Output(), "CAP_NET_ADMIN") {
		t.Errorf("status %d", status)
	}
}

// TestCapabilitiesAreLetGo looks at what a daemon that root started keeps: for native doors three, for commands all.
func TestCapabilitiesAreLetGo(t *testing.T) {
	t.Parallel()
	p := netlabtest.NewPair(t)
	// The program must pass the verifier with CAP_BPF alone: it is loaded when the rest is gone.
	backend := "ebpf"
	if daemontest.InUserNamespace() {
		backend = "classic"
	}
	native := daemontest.Start(t, p.Server, daemontest.Options{
		Config: "[options]\n\tCapture = " + backend + "\n[one]\n\tsequence = 1000,3000\n\topen = tcp/22\n", Args: []string{"-v", "-i", "eth0"},
	})
	native.Wait("capturing with the " + backend + " backend")
	native.Wait("listening on eth0...")
	// CAP_NET_ADMIN is 12, CAP_NET_RAW 13, CAP_BPF 39 (capability.h).
	if got := capabilities(t, native.Pid()); got&^(1<<12|1<<13|1<<39) != 0 || got&(1<<12|1<<13) != 1<<12|1<<13 {
		t.Errorf("a native daemon keeps %x", got)
	}
	native.Stop()
	before := capabilities(t, os.Getpid())
	commands := daemontest.Start(t, p.Server, daemontest.Options{
		Config: "[one]\n\tsequence = 1000,3000\n\tcommand = true\n", Args: []string{"-v", "-i", "eth0"},
	})
	commands.Wait("listening on eth0...")
	if got := capabilities(t, commands.Pid()); got != before {
		t.Errorf("a daemon with commands has %x of %x", got, before)
	}
}

// capabilities are a process's permitted ones (proc_pid_status(5)).
func capabilities(t *testing.T, pid int) uint64 {
	t.Helper()
	for line := range strings.Lines(daemontest.Read(t, "/proc/"+strconv.Itoa(pid)+"/status")) {
		if hex, ok := strings.CutPrefix(line, "CapPrm:"); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			netlabtest.Check(t, err)
			return n
		}
	}
	t.Fatal("no CapPrm")
	return 0
}
