// Package daemon is the event loop: it owns the engine and all state, and tells the packages around it what to do.
//
// Everything that can block is outside the loop and speaks to it through bounded queues: the capture's readers, the
// commands, the journal's writer, the firewall's netlink, the control socket's clients, the loading of files. What
// belongs here is the order in which things happen to a knock; how each is done belongs to the package that does it.
package daemon

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"knockd/internal/boottime"
	"knockd/internal/capture"
	"knockd/internal/command"
	"knockd/internal/decoy"
	"knockd/internal/knock"
	"knockd/internal/link"
)

// Daemon is a running knockd. Its fields belong to the loop.
type Daemon struct {
	settings Settings
	clock    boottime.Clock
	timer    boottime.Timer
	// timerAt is what the timer is set to, 0 for nothing.
	timerAt time.Duration
	agenda  agenda

	conf     *loaded
	engine   *knock.Engine
	compiled compiled
	decoyKey decoy.Key
	events   []knock.Event

	say      *speaker
	capture  *capture.Capture
	watcher  *link.Watcher
	runner   *command.Runner
	files    *worker
	native   *native
	ledger   *ledger
	sockets  *controlSocket
	notifier *notifier
	// lastGood is why the last good configuration runs instead of the file, nil if the file runs.
	lastGood error
	trial    *trial
	// dropped is set once capabilities have been let go.
	dropped   bool
	rehearsal *rehearsal

	follow   follower
	openings openings
	cooling  cooldowns
	expiry   expiry

	// done brings what follows on finished work back to the loop.
	done  chan func()
	group *errgroup.Group
	// groupCtx ends with the daemon, or when one of its parts fails.
	groupCtx  context.Context
	startedAt time.Duration
	// stopping is set once nothing is to be opened any more.
	stopping bool
	// ending is set once the daemon is to stop, with the error that it ends with.
	ending   bool
	fatalErr error
}

// New loads the configuration and prepares everything that can fail before the first change to the system.
func New(s Settings) (*Daemon, error) {
	conf, lastGood, err := loadAtStart(&s)
	if err != nil {
		return nil, err
	}
	if s.Clock == nil {
		s.Clock = boottime.System{}
	}
	d := &Daemon{
		settings: s, clock: s.Clock, conf: conf, decoyKey: newDecoyKey(),
		done: make(chan func(), 256), notifier: newNotifier(), lastGood: lastGood,
	}
	d.follow.attached = map[string]bool{}
	d.cooling.until = map[knocker]time.Duration{}
	d.openings.byID = map[uint64]*opening{}
	// Unique over all daemons, so that a start command that outlived one is told from ours.
	d.openings.last = uint64(time.Now().UnixNano())
	return d, nil
}

// loadAtStart loads the configuration, or where ports are hidden and the file does not load, the last good one; then
// why is what is wrong with the file.
func loadAtStart(s *Settings) (conf *loaded, why, err error) {
	if s.Trial > 0 {
		conf, err = load(s.ConfigPath)
		return conf, nil, err
	}
	conf, why = loadConfirmed(s.ConfigPath)
	if why == nil {
		return conf, nil, nil
	}
	conf, err = loadLastGood(why)
	return conf, why, err
}

// Run works until ctx ends (a clean stop) or something fails that nothing can mend.
func (d *Daemon) Run(ctx context.Context) error {
	timer, err := d.clock.Timer()
	if err != nil {
		return fmt.Errorf("making a timer: %w", err)
	}
	d.timer = timer
	defer func() { _ = timer.Close() }()
	d.startedAt = d.clock.Now()

	// What the loop needs until its very end outlives ctx.
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	d.group, d.groupCtx = errgroup.WithContext(inner)
	if err := d.start(d.groupCtx); err != nil {
		d.abandonTrial()
		cancel()
		_ = d.group.Wait()
		d.release()
		return err
	}
	d.loop(ctx, d.groupCtx)
	d.stop()
	cancel()
	err = d.group.Wait()
	d.release()
	if d.fatalErr != nil {
		return d.fatalErr
	}
	return err
}

// spawn runs a long-running part; its error ends the daemon, for a daemon that lost a part is no daemon.
func (d *Daemon) spawn(ctx context.Context, name string, run func(context.Context) error) {
	d.group.Go(func() error {
		if err := run(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
}

// fail ends the daemon with an error.
func (d *Daemon) fail(err error) {
	if d.fatalErr == nil {
		d.fatalErr = err
	}
	d.ending = true
}

// release lets go of what outlives the parts.
func (d *Daemon) release() {
	if d.native != nil && d.native.fw != nil {
		_ = d.native.fw.Close()
	}
	if d.say != nil {
		d.say.log.Close()
	}
}
