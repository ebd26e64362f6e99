package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"knockd/internal/client"
	"knockd/internal/netlab"
)

// The times of the play.
const (
	// openFor is the door's Open_For, long enough for a busy machine, short enough for whoever watches.
	openFor = 4 * time.Second
	// silence is how long a visitor waits for an answer that is not to come.
	silence = 800 * time.Millisecond
	// patience is how long everything that must happen is waited for, on a busy machine.
	patience = 20 * time.Second
)

// door is the configuration, as far as it is shown.
const door = `[ssh]
    Sequence = 7000,9000,8000
    Open     = tcp/22
    Open_For = 4s
`

// options are the rest of it: nothing is left behind on disk.
const options = `[options]
    State   = none
    Control = none
`

// stage is everything that takes part.
type stage struct {
	*story
	self     string
	patience time.Duration
	pair     *netlab.Pair
	at       netip.AddrPort // the service
	client   visitor
	stranger visitor // another address, which never knocks
	service  *service
	daemon   *daemon
	guest    net.Conn // the connection that was made while the door was open
}

// play shows the knock, a step at a time; each thing that must happen is waited for for at most patience. It needs namespaces that netlab.Enter has made ready.
func play(ctx context.Context, out io.Writer, self string, patience time.Duration) (err error) {
	s := &stage{story: &story{out: out}, self: self, patience: patience}
	defer func() { err = errors.Join(err, s.clear()) }()
	if err := s.build(); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{
		s.withoutKnockd, s.startKnockd, s.hidden, s.knock, s.opened, s.closed,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	s.tell("\nEvery step happened as told. To hide ssh on a server of your own: knockd init")
	return nil
}

func (s *stage) build() (err error) {
	if s.pair, err = netlab.NewPair(); err != nil {
		return err
	}
	s.client = visitor{s.pair.Client, s.pair.Client4}
	s.stranger = visitor{s.pair.Client, s.pair.Client4.Next()}
	s.at = netip.AddrPortFrom(s.pair.Server4, 22)
	if err := netlab.AddAddr(s.pair.Client, netlab.Interface, netip.PrefixFrom(s.stranger.addr, 16)); err != nil {
		return err
	}
	if s.service, err = startService(s.pair.Server, s.at); err != nil {
		return err
	}
	s.tell(`A server and a client, in network namespaces of their own. Nothing else on this
machine sees or feels them, and they are gone when this ends.

    client %v ------------ server %v, with a service on tcp port %d`, s.client.addr, s.at.Addr(), s.at.Port())
	return nil
}

func (s *stage) withoutKnockd(ctx context.Context) error {
	s.tell("\n1. Without knockd, anybody reaches the service.")
	c, err := s.welcome(ctx)
	if err != nil {
		return err
	}
	return c.Close()
}

// welcome connects as the client and prints the greeting.
func (s *stage) welcome(ctx context.Context) (net.Conn, error) {
	c, err := s.client.connect(ctx, s.at, s.patience)
	if err != nil {
		return nil, fmt.Errorf("connecting to the service, which should answer: %w", err)
	}
	greeting, err := exchange(c, "", s.patience)
	if err == nil && greeting != banner {
		err = fmt.Errorf("it said %q", greeting)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening to the service: %w", err), c.Close())
	}
	s.says("client", "connects to port %d, and is greeted: %s", s.at.Port(), greeting)
	return c, nil
}

func (s *stage) startKnockd(ctx context.Context) (err error) {
	s.tell("\n2. knockd starts on the server, with this door:\n\n%s", indented(door))
	path, err := writeConfig()
	if err != nil {
		return err
	}
	args := []string{"-v", "-c", path, "-i", netlab.Interface}
	if s.daemon, err = startDaemon(ctx, s.pair.Server, s.self, args, s.hear); err != nil {
		return err
	}
	return s.daemon.waitFor(ctx, s.patience, "starting up, listening on "+netlab.Interface)
}

func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("       " + line)
	}
	return b.String()
}

// writeConfig writes the configuration to /run, which is this process's own: see netlab.Enter.
func writeConfig() (string, error) {
	file, err := os.CreateTemp("/run", "knockd-demo-*.conf") // with mode 0600
	if err != nil {
		return "", fmt.Errorf("writing the configuration: %w", err)
	}
	_, err = file.WriteString(options + door)
	if err := errors.Join(err, file.Close()); err != nil {
		return "", fmt.Errorf("writing the configuration: %w", err)
	}
	return file.Name(), nil
}

// hear prints the daemon's lines that belong to the story; all are printed if it fails.
func (s *stage) hear(line string) {
	if strings.HasPrefix(line, "starting up") || strings.HasPrefix(line, s.client.addr.String()+":") {
		s.says("knockd", "%s", line)
	}
}

func (s *stage) hidden(ctx context.Context) error {
	s.tell("\n3. Now the port is hidden: the server's kernel drops what comes to it.")
	return s.noAnswer(ctx, s.client, "client")
}

// noAnswer makes sure that a visitor gets no answer.
func (s *stage) noAnswer(ctx context.Context, v visitor, who string) error {
	c, err := v.connect(ctx, s.at, silence)
	switch {
	case err == nil:
		return errors.Join(fmt.Errorf("the port is hidden, yet %v could connect", v.addr), c.Close())
	case !errors.Is(err, errSilence):
		return fmt.Errorf("the port is hidden, yet it did not stay silent: %w", err)
	}
	s.says(who, "connects to port %d: no answer, as if nobody were there", s.at.Port())
	return nil
}

func (s *stage) knock(ctx context.Context) error {
	s.tell("\n4. The client knocks: a packet to each port of the sequence, in this order.")
	args := []string{"-v", "-d", "200", s.at.Addr().String(), "7000", "9000", "8000"}
	s.says("client", "$ knock %s", strings.Join(args, " "))
	words := &lines{each: func(line string) { s.says("client", "%s", line) }}
	code := 0
	err := s.pair.Client.Do(func() error {
		code = client.Main(ctx, args, "", words, words)
		return nil
	})
	if err != nil || code != 0 {
		return errors.Join(fmt.Errorf("knock ended with status %d", code), err)
	}
	return s.daemon.waitFor(ctx, s.patience, s.client.addr.String()+": ssh: OPEN SESAME")
}

func (s *stage) opened(ctx context.Context) (err error) {
	s.tell("\n5. The port is open for %v, to the client's address alone.", openFor)
	if s.guest, err = s.welcome(ctx); err != nil {
		return err
	}
	return s.noAnswer(ctx, s.stranger, "another")
}

func (s *stage) closed(ctx context.Context) error {
	s.tell("\n6. Then the kernel closes it again, by itself; who is connected stays connected.")
	if err := s.waitClosed(ctx); err != nil {
		return err
	}
	const words = "still here"
	back, err := exchange(s.guest, words, s.patience)
	if err == nil && back != words {
		err = fmt.Errorf("it said %q", back)
	}
	if err != nil {
		return fmt.Errorf("using the connection from before: %w", err)
	}
	s.says("client", "is still answered over the connection from before")
	return nil
}

// waitClosed connects again and again until there is no answer any more.
func (s *stage) waitClosed(ctx context.Context) error {
	late := time.Now().Add(s.patience)
	for time.Now().Before(late) {
		c, err := s.client.connect(ctx, s.at, silence)
		switch {
		case err == nil:
			if err := c.Close(); err != nil {
				return err
			}
		case errors.Is(err, errSilence) && ctx.Err() == nil:
			s.says("client", "connects to port %d: no answer", s.at.Port())
			return nil
		default:
			return fmt.Errorf("connecting until the door is closed: %w", err)
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("the door should close after %v and is open after %v", openFor, s.patience)
}

// pause keeps two attempts apart.
func pause(ctx context.Context) error {
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// clear ends everything that takes part.
func (s *stage) clear() error {
	var errs []error
	if s.guest != nil {
		errs = append(errs, s.guest.Close())
	}
	if s.daemon != nil {
		errs = append(errs, s.daemon.stop(s.patience))
	}
	if s.service != nil {
		s.service.close()
	}
	if s.pair != nil {
		errs = append(errs, s.pair.Close())
	}
	return errors.Join(errs...)
}
