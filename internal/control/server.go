package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The bounds of the protocol: a client that exceeds one is cut off.
const (
	maxRequest  = 64 << 10
	maxReply    = 16 << 20
	maxClients  = 16
	readTimeout = 5 * time.Second
	// acceptPause is after an accept that failed.
	acceptPause = 100 * time.Millisecond
	// replyTimeout leaves a verb that waits for the firewall or the disk time to end.
	replyTimeout = 30 * time.Second
)

// Call is a request on its way to the daemon's loop; exactly one Reply is sent to Answer, which has room for it.
type Call struct {
	Request Request
	Answer  chan<- Reply
}

// Server listens on the control socket.
type Server struct {
	listener *net.UnixListener
	calls    chan Call
	path     string
}

// Listen makes the socket at path, for root and for the members of group (empty: root alone). The directory is made
// with mode 0755 if it is absent; one that others may write to is refused. A group that can't be set is returned as
// a warning, and the socket is root's alone. A socket that answers is another daemon's: that is an error; one that
// does not is replaced.
func Listen(path, group string) (s *Server, warning, err error) {
	if err := prepareDir(filepath.Dir(path)); err != nil {
		return nil, nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, nil, err
	}
	listener, err := listenPrivate(path)
	if err != nil {
		return nil, nil, fmt.Errorf("making the control socket: %w", err)
	}
	warning = grantGroup(path, group)
	return &Server{listener: listener, calls: make(chan Call), path: path}, warning, nil
}

// listenPrivate binds with a mode that never was wider than 0600, not even for the time between bind and chmod.
func listenPrivate(path string) (*net.UnixListener, error) {
	temporary := fmt.Sprintf("%s.%d", path, os.Getpid())
	_ = os.Remove(temporary)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false)
	if err = os.Chmod(temporary, 0o600); err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		_ = os.Remove(temporary)
		_ = listener.Close()
		return nil, err
	}
	return listener, nil
}

func prepareDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the control socket's directory: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("looking at the control socket's directory: %w", err)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("the directory %s of the control socket can be written by others: chmod go-w %s", dir, dir)
	}
	return nil
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("%s is in the way of the control socket and is no socket: remove it, or set Control", path)
	}
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = conn.Close()
		return fmt.Errorf("another daemon answers at %s: stop it first, or set Control to another path", path)
	}
	return os.Remove(path)
}

func grantGroup(path, group string) error {
	if group == "" {
		return nil
	}
	entry, err := user.LookupGroup(group)
	if err != nil {
		return fmt.Errorf("the control socket is for root alone: %w", err)
	}
	gid, err := strconv.Atoi(entry.Gid)
	if err != nil {
		return fmt.Errorf("the control socket is for root alone: group %s: %w", group, err)
	}
	if err := os.Chown(path, -1, gid); err != nil {
		return fmt.Errorf("the control socket is for root alone: %w", err)
	}
	return os.Chmod(path, 0o660)
}

// Calls delivers the requests.
func (s *Server) Calls() <-chan Call { return s.calls }

// Run serves until ctx ends, then removes the socket (unless another has taken its place) and waits for its clients'
// goroutines.
func (s *Server) Run(ctx context.Context) error {
	mine, statErr := os.Lstat(s.path)
	stop := context.AfterFunc(ctx, func() { _ = s.listener.Close() })
	defer stop()
	var clients sync.WaitGroup
	defer clients.Wait()
	slots := make(chan struct{}, maxClients)
	for {
		conn, err := s.listener.AcceptUnix()
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
				// No descriptors, no memory: that passes, and is no reason to end the daemon.
				time.Sleep(acceptPause)
				continue
			}
			if now, err := os.Lstat(s.path); err == nil && statErr == nil && os.SameFile(mine, now) {
				_ = os.Remove(s.path)
			}
			return nil
		}
		select {
		case slots <- struct{}{}:
		default:
			_ = conn.Close() // more clients at once than an operator has
			continue
		}
		clients.Go(func() {
			defer func() { <-slots }()
			s.serve(ctx, conn)
		})
	}
}

func (s *Server) serve(ctx context.Context, conn *net.UnixConn) {
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	_ = conn.SetReadDeadline(time.Now().Add(readTimeout))
	request, err := readRequest(conn)
	reply := Reply{Error: "the request can't be read"}
	if err != nil {
		reply.Error = err.Error()
	} else {
		reply = s.ask(ctx, request)
	}
	reply.Version = Version
	line, err := json.Marshal(reply)
	if err != nil || len(line) > maxReply {
		line, _ = json.Marshal(Reply{Version: Version, Error: "the answer is too long"})
	}
	_ = conn.SetWriteDeadline(time.Now().Add(readTimeout))
	_, _ = conn.Write(append(line, '\n'))
}

func readRequest(conn *net.UnixConn) (Request, error) {
	var request Request
	line, err := bufio.NewReader(io.LimitReader(conn, maxRequest)).ReadBytes('\n')
	if err != nil {
		return request, fmt.Errorf("reading the request: %w", err)
	}
	if err := json.Unmarshal(line, &request); err != nil {
		return request, fmt.Errorf("reading the request: %w", err)
	}
	if request.Version != Version {
		return request, fmt.Errorf("the daemon speaks version %d of the control protocol, the request %d", Version, request.Version)
	}
	peer, err := peerOf(conn)
	if err != nil {
		return request, fmt.Errorf("asking who is calling: %w", err)
	}
	request.UID, request.GID, request.PID = peer.Uid, peer.Gid, peer.Pid
	return request, nil
}

func peerOf(conn *net.UnixConn) (*unix.Ucred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var peer *unix.Ucred
	var peerErr error
	if err := raw.Control(func(fd uintptr) {
		peer, peerErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return nil, err
	}
	return peer, peerErr
}

func (s *Server) ask(ctx context.Context, request Request) Reply {
	answer := make(chan Reply, 1)
	timeout := time.NewTimer(replyTimeout)
	defer timeout.Stop()
	select {
	case s.calls <- Call{Request: request, Answer: answer}:
	case <-ctx.Done():
		return Reply{Error: "the daemon is shutting down"}
	case <-timeout.C:
		return Reply{Error: "the daemon did not take the request in time"}
	}
	select {
	case reply := <-answer:
		return reply
	case <-ctx.Done():
		return Reply{Error: "the daemon is shutting down"}
	case <-timeout.C:
		return Reply{Error: "the daemon did not answer in time"}
	}
}
