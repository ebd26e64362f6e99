package fault

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"knockd/internal/daemontest"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

// round is one fault among knocks, and a look at everything.
func (w *world) round() {
	w.t.Helper()
	w.right()
	faults := []func(){
		w.reload, w.badReload, w.flap, w.flush, w.fillDisk, w.freeDisk, w.kill, w.kill, w.dieAtAPlace, w.dieAtAPlace, w.dieAtAPlace,
		w.cleanRestart, w.rotate, w.address, w.replay,
	}
	faults[w.r.IntN(len(faults))]()
	if w.t.Failed() {
		return
	}
	w.check()
}

func (w *world) reload() {
	before := w.daemon.Count("re-reading config file")
	w.daemon.Signal(syscall.SIGHUP)
	w.knockCommands() // on its way meanwhile
	w.daemon.WaitCount("re-reading config file", before+1)
	w.count("reload")
}

func (w *world) badReload() {
	before := w.daemon.Count("the configuration is unchanged")
	netlabtest.Check(w.t, os.WriteFile(w.path("knockd.conf"), []byte(w.config()+"nonsense\n"), 0o600))
	w.daemon.Signal(syscall.SIGHUP)
	w.daemon.WaitCount("the configuration is unchanged", before+1)
	netlabtest.Check(w.t, os.WriteFile(w.path("knockd.conf"), []byte(w.config()), 0o600))
	w.count("reload of a bad file")
}

// flap takes the interface down and up. A knock works within a second of its being usable.
func (w *world) flap() {
	gone, back := w.daemon.Count("eth0 is gone"), w.daemon.Count("listening on eth0\n")
	netlabtest.Check(w.t, netlab.SetDown(w.pair.Server, netlab.Interface))
	w.daemon.WaitCount("eth0 is gone", gone+1)
	netlabtest.Check(w.t, netlab.SetUp(w.pair.Server, netlab.Interface))
	netlabtest.Check(w.t, netlab.WaitUp(w.pair.Server, netlab.Interface))
	netlabtest.Check(w.t, netlab.AddNeighbour(w.pair.Server, netlab.Interface, w.pair.Client4, w.pair.ClientMAC))
	netlabtest.Check(w.t, netlab.AddNeighbour(w.pair.Client, netlab.Interface, w.pair.Server4, w.pair.ServerMAC))
	w.daemon.WaitCount("listening on eth0\n", back+1)
	w.count("interface down and up")
}

func (w *world) flush() {
	netlabtest.Run(w.t, w.pair.Server, "nft", "flush", "ruleset")
	daemontest.Eventually(w.t, "the table is back", w.hidden)
	w.count("nft flush ruleset")
}

func (w *world) address() {
	const extra = "10.0.5.5/16"
	netlabtest.Addr(w.t, w.pair.Server, netlab.Interface, extra)
	netlabtest.Run(w.t, w.pair.Server, "ip", "addr", "del", extra, "dev", netlab.Interface)
	w.count("addresses changed")
}

func (w *world) rotate() {
	netlabtest.Check(w.t, os.Rename(w.path("log"), w.path("log.1")))
	w.daemon.Signal(syscall.SIGHUP)
	daemontest.Eventually(w.t, "a new log", func() bool { _, err := os.Stat(w.path("log")); return err == nil })
	w.count("log rotation")
}

// fillDisk fills the file system of the state to the last byte.
func (w *world) fillDisk() {
	file, err := os.Create(w.path("state/filler"))
	if err != nil {
		return // it is full already
	}
	for block := 4096; block > 0; block /= 2 {
		for err = nil; err == nil; {
			_, err = file.Write(make([]byte, block))
		}
	}
	netlabtest.Check(w.t, file.Close())
	w.count("full disk")
}

func (w *world) freeDisk() {
	if os.Remove(w.path("state/filler")) == nil {
		w.count("disk freed")
	}
}

func (w *world) cleanRestart() {
	if status := w.daemon.Stop(); status != 0 {
		w.t.Errorf("status %d", status)
	}
	if open := w.openFiles(); len(open) > 0 {
		w.t.Errorf("a clean stop leaves open: %v", open)
	}
	w.start()
	w.count("restart")
}

// kill kills at a random moment, while knocks are on their way.
func (w *world) kill() {
	pause := time.Duration(w.r.IntN(30)) * time.Millisecond
	killed := make(chan struct{})
	daemon := w.daemon
	go func() {
		defer close(killed)
		time.Sleep(pause)
		_ = syscall.Kill(daemon.Pid(), syscall.SIGKILL)
	}()
	w.knockCommands()
	w.knockNative()
	w.knockOnce()
	<-killed
	daemon.Kill()
	w.restart("kill -9 at a random moment")
}

// restart starts the daemon again, now or after a while in which the kernel alone closes.
func (w *world) restart(name string) {
	time.Sleep(time.Duration(w.r.IntN(3)) * time.Second / 2)
	w.env = nil
	w.start()
	w.syncOnce()
	w.count(name)
}

// places is how many places of failpoints a daemon comes by in its first seconds, about.
const places = 40

// dieAtAPlace starts a daemon that kills itself at some step between journal, firewall and command.
func (w *world) dieAtAPlace() {
	if status := w.daemon.Stop(); status != 0 {
		w.t.Errorf("status %d", status)
	}
	log := w.path("places")
	_ = os.Remove(log)
	w.env = []string{fmt.Sprintf("KNOCKD_FAILPOINT=*:%d", 1+w.r.IntN(places)), "KNOCKD_FAILPOINT_LOG=" + log}
	w.start()
	deadline := time.Now().Add(openFor + slack)
	for w.alive() && time.Now().Before(deadline) {
		w.knockCommands()
		w.knockNative()
		w.knockOnce()
		time.Sleep(100 * time.Millisecond)
	}
	w.daemon.Kill()
	lines := strings.Split(strings.TrimSpace(daemontest.Read(w.t, log)), "\n")
	w.restart("death " + lines[len(lines)-1])
}

func (w *world) alive() bool { return w.daemon.Running() }
