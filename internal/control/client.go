package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"syscall"
	"time"
)

// ErrNoDaemon is returned where nothing answers at the socket.
var ErrNoDaemon = errors.New("no daemon answers")

// RefusedError is the daemon's own refusal of a verb.
type RefusedError struct {
	Message, Hint string
}

// Error returns the daemon's words.
func (e *RefusedError) Error() string { return e.Message }

// Ask sends one verb to the daemon at path and decodes its result into result, which may be nil. Errors: ErrNoDaemon,
// a *RefusedError, fs.ErrPermission where the caller may not use the socket.
func Ask(path, verb string, args, result any) error {
	conn, err := net.DialTimeout("unix", path, readTimeout)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w at %s", ErrNoDaemon, path)
	case err != nil:
		return fmt.Errorf("speaking to the daemon: %w", err)
	}
	defer func() { _ = conn.Close() }()
	// A little longer than the server's own bound, whose answer says more than our time-out would.
	_ = conn.SetDeadline(time.Now().Add(replyTimeout + 2*readTimeout))
	if err := send(conn, verb, args); err != nil {
		return fmt.Errorf("speaking to the daemon: %w", err)
	}
	reply, err := receive(conn)
	if err != nil {
		return fmt.Errorf("reading the daemon's answer: %w", err)
	}
	if reply.Error != "" {
		return &RefusedError{Message: reply.Error, Hint: reply.Hint}
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(reply.Result, result); err != nil {
		return fmt.Errorf("reading the daemon's answer: %w", err)
	}
	return nil
}

func send(w io.Writer, verb string, args any) error {
	raw, err := json.Marshal(args)
	if err != nil {
		return err
	}
	line, err := json.Marshal(Request{Version: Version, Verb: verb, Args: raw})
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

func receive(r io.Reader) (Reply, error) {
	var reply Reply
	line, err := bufio.NewReader(io.LimitReader(r, maxReply+1)).ReadBytes('\n')
	if err != nil {
		return reply, err
	}
	return reply, json.Unmarshal(line, &reply)
}
