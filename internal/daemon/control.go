package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"knockd/internal/control"
)

// controlSocket is the listening half of the verbs. A nil channel of calls never delivers: there is no socket.
type controlSocket struct {
	calls       <-chan control.Call
	path, group string
	stop        context.CancelFunc
	stopped     chan struct{}
}

// startControl listens as the configuration says. Without a socket the daemon still does its work, so an error is a
// warning.
func (d *Daemon) startControl(ctx context.Context) {
	d.sockets = &controlSocket{}
	options := &d.conf.conf.Options
	if options.Control == "" {
		return
	}
	server, warning, err := control.Listen(options.Control, options.ControlGroup)
	if err != nil {
		d.say.line(fmt.Sprintf("no control socket, the verbs of the command line won't work: %v", err))
		return
	}
	if warning != nil {
		d.say.line(warning.Error())
	}
	if err := pointToControl(d.settings.ConfigPath, options.Control); err != nil {
		d.say.linef("warning: verbs find the daemon by the configuration alone: %v", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	c := &controlSocket{
		calls: server.Calls(), path: options.Control, group: options.ControlGroup,
		stop: cancel, stopped: make(chan struct{}),
	}
	d.sockets = c
	d.spawn(ctx, "control socket", func(ctx context.Context) error {
		defer close(c.stopped)
		return server.Run(ctx)
	})
}

// swapControl moves the socket if a reload asks for another one.
func (d *Daemon) swapControl() {
	options := &d.conf.conf.Options
	if d.sockets.path == options.Control && d.sockets.group == options.ControlGroup {
		return
	}
	// A moment later: the call that asked for the reload is answered over the old socket.
	d.agenda.at(d.clock.Now()+controlGrace, func(time.Duration) { d.moveControl() })
}

// controlGrace is what the old socket has to give its last answers.
const controlGrace = 200 * time.Millisecond

// moveControl closes the old socket, off the loop, and opens the one that the configuration names by then.
func (d *Daemon) moveControl() {
	old := d.sockets
	d.sockets = &controlSocket{path: d.conf.conf.Options.Control, group: d.conf.conf.Options.ControlGroup}
	if old.stop == nil {
		d.startControl(d.groupCtx)
		return
	}
	old.stop()
	d.onFiles(func(context.Context) error { <-old.stopped; return nil }, func(error) { d.startControl(d.groupCtx) })
}

// called takes a call from the socket: its verb answers by itself.
func (d *Daemon) called(call control.Call) {
	run, ok := d.verbsOfSocket()[call.Request.Verb]
	if !ok {
		call.Answer <- control.Reply{
			Error: fmt.Sprintf("the running daemon does not know the verb %q", call.Request.Verb),
			Hint:  "it may be of another version than this program: restart it",
		}
		return
	}
	run(call.Request, func(result any, err error) { call.Answer <- makeReply(result, err) })
}

func makeReply(result any, err error) control.Reply {
	if err != nil {
		reply := control.Reply{Error: err.Error()}
		var hinted *HintedError
		if errors.As(err, &hinted) {
			reply.Hint = hinted.Hint
		}
		return reply
	}
	raw, err := json.Marshal(result)
	if err != nil {
		return control.Reply{Error: fmt.Sprintf("writing the answer: %v", err)}
	}
	return control.Reply{Result: raw}
}

// HintedError is an error that says what to do about it.
type HintedError struct {
	Err  error
	Hint string
}

// Error returns the error without the hint.
func (e *HintedError) Error() string { return e.Err.Error() }

// Unwrap returns the error.
func (e *HintedError) Unwrap() error { return e.Err }
