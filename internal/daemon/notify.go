package daemon

import (
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// notifyHangup delivers SIGHUP, at most one that is not yet taken.
func notifyHangup() (<-chan os.Signal, func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// notifier speaks to systemd by sd_notify(3); without systemd it does nothing.
type notifier struct {
	// watchdog is how often systemd wants to hear of us, 0 for never.
	watchdog time.Duration
	// isReady is set once readiness has been told.
	isReady bool
}

func newNotifier() *notifier {
	interval, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		interval = 0
	}
	return &notifier{watchdog: interval / 2}
}

func (n *notifier) send(state string) {
	// Nothing can be done where systemd does not listen.
	_, _ = sd.SdNotify(false, state)
}

func (n *notifier) ready(status string) { n.send("READY=1\nSTATUS=" + status) }

// reloading tells the time as sd_notify(3) wants it: CLOCK_MONOTONIC in microseconds.
func (n *notifier) reloading() {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	n.send("RELOADING=1\nMONOTONIC_USEC=" + strconv.FormatInt(ts.Nano()/1000, 10))
}

func (n *notifier) stopping() { n.send("STOPPING=1") }
func (n *notifier) alive()    { n.send("WATCHDOG=1") }
