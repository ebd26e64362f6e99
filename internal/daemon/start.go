package daemon

import (
	"context"
	"fmt"
	"time"

	"knockd/internal/capture"
	"knockd/internal/command"
	"knockd/internal/link"
	"knockd/internal/logs"
)

// start brings the parts up, the firewall before the capture: what is to be hidden is hidden first.
func (d *Daemon) start(ctx context.Context) error {
	if err := d.checkPidFile(); err != nil {
		return err
	}
	if err := d.startLog(ctx); err != nil {
		return err
	}
	d.files = newWorker(d.done)
	d.spawn(ctx, "files", d.files.Run)
	d.runner = command.NewRunner(d.conf.conf.Options.MaxCommands)
	d.spawn(ctx, "commands", d.runner.Run)
	d.sayNotes()
	d.remind()
	// Before anything is hidden: a daemon that can't hear knocks must not hide what they open.
	if err := capture.Probe(); err != nil {
		return err
	}
	if err := d.startTrial(); err != nil {
		return err
	}
	if err := d.startLedger(ctx); err != nil {
		return err
	}
	if err := d.startNative(ctx); err != nil {
		return err
	}
	d.startControl(ctx)
	b := build(d.conf.doors, d.decoyKey)
	d.compiled, d.engine = b.compiled, b.engine
	d.planRehearsal()
	d.keepLastGood()
	if err := d.startCapture(ctx); err != nil {
		return err
	}
	return d.dropPrivileges()
}

func (d *Daemon) startCapture(ctx context.Context) error {
	d.capture = capture.New(capture.Options{})
	d.spawn(ctx, "capture", d.capture.Run)
	watcher, err := link.New()
	if err != nil {
		return fmt.Errorf("following the interfaces: %w", err)
	}
	d.watcher = watcher
	d.spawn(ctx, "interfaces", watcher.Run)
	d.beat()
	return nil
}

// beat feeds systemd's watchdog from the loop: a loop that hangs is a daemon that hangs.
func (d *Daemon) beat() {
	if d.notifier.watchdog <= 0 {
		return
	}
	d.notifier.alive()
	d.agenda.at(d.clock.Now()+d.notifier.watchdog, func(time.Duration) { d.beat() })
}

func (d *Daemon) pidFile() string {
	if file := d.conf.conf.Options.PidFile; file != "" {
		return file
	}
	return d.settings.PidFile
}

// checkPidFile refuses to start beside a living daemon before anything is changed.
func (d *Daemon) checkPidFile() error {
	if !d.settings.Detached {
		return nil
	}
	if pid, alive := livingPid(d.pidFile()); alive {
		return fmt.Errorf("%s names process %d, which is a running knockd: stop it first, or give another pid file with -p", d.pidFile(), pid)
	}
	return nil
}

func (d *Daemon) takePidFile() error {
	if !d.settings.Detached {
		return nil
	}
	return writePidFile(d.pidFile())
}

// startTrial puts the configuration that the daemon was started with on trial.
func (d *Daemon) startTrial() error {
	if d.settings.Trial <= 0 {
		return nil
	}
	if err := markTrial(d.stateDirs(), d.conf.text); err != nil {
		return err
	}
	d.beginTrial(nil, d.settings.Trial)
	return nil
}

// startLog opens the log, as the command line and the file say: the file wins, as in the reference.
func (d *Daemon) startLog(ctx context.Context) error {
	log, err := logs.New(d.logOptions())
	if err != nil {
		return err
	}
	d.say = newSpeaker(log, &d.settings)
	if d.settings.Lookup {
		d.say.names = newNaming(log)
		d.spawn(ctx, "name look-ups", d.say.names.Run)
	}
	return nil
}

func (d *Daemon) logOptions() logs.Config {
	options := &d.conf.conf.Options
	c := logs.Config{File: d.settings.LogFile, Syslog: options.UseSyslog}
	if options.LogFile != "" {
		c.File = options.LogFile
	}
	if d.settings.Verbose || d.settings.Debug {
		c.Stdout = d.settings.Stdout
	}
	c.Stderr = d.settings.Stderr
	return c
}
