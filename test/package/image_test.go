package packages

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

// image is the root of the container image: what packaging/Dockerfile copies, by hand, for no container runtime runs
// here.
func image(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"etc", "run", "var/lib/knockd", "dev"} {
		netlabtest.Check(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	// The container's runtime brings it.
	netlabtest.Check(t, unix.Mknod(filepath.Join(root, "dev/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	netlabtest.Check(t, run(root, nil, "tar", "-xzf", built(t, "knockd-*-linux-"+hostArch+".tar.gz"), "--strip-components=1", "--wildcards", "*/knockd", "*/knock"))
	return root
}

// contained starts the image's knockd as root with some capabilities alone, as a container runtime does.
func contained(t *testing.T, n *netlab.Namespace, root string, capabilities ...uintptr) *strings.Builder {
	t.Helper()
	out := &strings.Builder{}
	cmd := n.Command(context.Background(), "/knockd", "-v")
	cmd.Path, cmd.Err = "/knockd", nil
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	started := make(chan error)
	go func() {
		// What is taken from this thread's bounding set is gone for good, so the thread ends with the goroutine.
		runtime.LockOSThread()
		for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
			if c != unix.CAP_NET_RAW && !has(capabilities, c) {
				_ = unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
			}
		}
		started <- cmd.Start()
	}()
	netlabtest.Check(t, <-started)
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(out)
		}
	})
	return out
}

func has(list []uintptr, c uintptr) bool {
	for _, l := range list {
		if l == c {
			return true
		}
	}
	return false
}

// TestImageNative opens a native door with NET_RAW and NET_ADMIN alone, and no other file in the image.
func TestImageNative(t *testing.T) {
	p := netlabtest.NewPair(t)
	client := newMachine(t, p.Client)
	client.unpackKnock()
	root := image(t)
	netlabtest.Check(t, os.WriteFile(filepath.Join(root, "etc/knockd.conf"), []byte(nativeDoor), 0o600))
	contained(t, p.Server, root, unix.CAP_NET_ADMIN)
	eventually(t, "the port is hidden", func() bool {
		out, err := p.Server.Command(t.Context(), "nft", "list", "table", "inet", "knockd").CombinedOutput()
		return err == nil && strings.Contains(string(out), "22")
	})
	eventually(t, "the door opens", func() bool {
		client.run("knock -d 20 10.0.0.1 7000 9000 8000")
		out, _ := p.Server.Command(t.Context(), "nft", "list", "table", "inet", "knockd").CombinedOutput()
		return strings.Contains(string(out), "10.0.0.2")
	})
}

const nativeDoor = "[options]\n\tInterface = eth0\n[ssh]\n\tsequence = 7000,9000,8000\n\topen = tcp/22\n"

// TestImageCommand runs a door's command with NET_RAW alone; the shell is what an image for such doors must bring.
func TestImageCommand(t *testing.T) {
	p := netlabtest.NewPair(t)
	client := newMachine(t, p.Client)
	client.unpackKnock()
	root := image(t)
	debian, err := filepath.EvalSymlinks(lab("root"))
	netlabtest.Check(t, err)
	netlabtest.Check(t, run(root, nil, "sh", "-ec", "mkdir bin && cp "+debian+"/usr/bin/busybox bin/sh"))
	netlabtest.Check(t, os.WriteFile(filepath.Join(root, "etc/knockd.conf"),
		[]byte("[options]\n\tInterface = eth0\n[wake]\n\tsequence = 7000,9000,8000\n\tcommand = echo %IP% >/run/visitor\n"), 0o600))
	contained(t, p.Server, root)
	eventually(t, "the command runs", func() bool {
		client.run("knock -d 20 10.0.0.1 7000 9000 8000")
		text, _ := os.ReadFile(filepath.Join(root, "run/visitor"))
		return string(text) == "10.0.0.2\n"
	})
}

// TestImageSize holds the programs of the image under 20 MB, and free of libraries.
func TestImageSize(t *testing.T) {
	root := image(t)
	total := int64(0)
	for _, name := range []string{"knockd", "knock"} {
		info, err := os.Stat(filepath.Join(root, name))
		netlabtest.Check(t, err)
		total += info.Size()
		if out, _ := exec.Command("ldd", filepath.Join(root, name)).CombinedOutput(); !strings.Contains(string(out), "not a dynamic executable") {
			t.Errorf("%s: %s", name, out)
		}
	}
	if total > 20_000_000 {
		t.Errorf("the image has %d bytes", total)
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain: " + what)
		}
	}
}
