package firewall

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"knockd/internal/failpoint"
)

// answerWait bounds the wait for the kernel, which as a rule has answered before the request returns.
const answerWait = 10 * time.Second

// receiveSize holds any answer: a dump's datagrams have at most 32 KiB (netlink_dump in net/netlink/af_netlink.c), and
// errors come without the message that they are about (NETLINK_CAP_ACK).
const receiveSize = 64 << 10

// transactionSize is the length at which a long list of messages is cut into transactions: the smallest send buffer
// that a distribution sets (net.core.wmem_default, 208 KiB) holds it without a privilege.
const transactionSize = 96 << 10

// socket is a netlink socket to nf_tables: transactions and dumps, one at a time.
type socket struct {
	conn *netlink.Conn
	raw  syscall.RawConn
	// sequence is that of the last message of a transaction.
	sequence uint32
	// answers is where the kernel's are received: as much of them as is looked at.
	answers [64]byte
}

func dial() (*socket, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{MessageBufferSize: receiveSize})
	if err != nil {
		return nil, fmt.Errorf("opening a netlink socket: %w", err)
	}
	// Errors come without the message that they are about (Linux 4.3). Extended ones are not asked for: the library
	// misreads those that are cut (netlink v1.11.2, checkMessage).
	_ = conn.SetOption(netlink.CapAcknowledge, true)
	_ = conn.SetReadBuffer(4 << 20)
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening a netlink socket: %w", err), conn.Close())
	}
	return &socket{conn: conn, raw: raw}, nil
}

func (s *socket) close() error { return s.conn.Close() }

// transact applies the messages as one transaction: all of them or none. The error is the kernel's first.
//
// It goes to the socket itself: the library's way through its locks takes as long again as the kernel's work.
func (s *socket) transact(ctx context.Context, messages ...netlink.Message) error {
	failpoint.Hit("before a transaction")
	defer failpoint.Hit("behind a transaction")
	if len(messages) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	first := s.sequence + 1
	s.sequence += uint32(len(messages)) + 2
	last := s.sequence - 1
	if err := s.send(batch(messages, first)); err != nil {
		return err
	}
	return s.outcome(first, last)
}

// batch writes the messages as one transaction, numbered from first on.
func batch(messages []netlink.Message, first uint32) []byte {
	size := 2 * edgeSize
	for _, m := range messages {
		size += unix.NLMSG_HDRLEN + len(m.Data)
	}
	b := appendMessage(make([]byte, 0, size), edge(unix.NFNL_MSG_BATCH_BEGIN), first)
	for i, m := range messages {
		// The kernel answers errors unasked, in the order of the messages, and what was asked behind them: one
		// acknowledgement at the end says that everything before it was right.
		if i == len(messages)-1 {
			m.Header.Flags |= netlink.Acknowledge
		}
		b = appendMessage(b, m, first+1+uint32(i))
	}
	return appendMessage(b, edge(unix.NFNL_MSG_BATCH_END), first+1+uint32(len(messages)))
}

// edge begins or ends a transaction.
func edge(kind netlink.HeaderType) netlink.Message {
	return netlink.Message{Header: netlink.Header{Type: kind}, Data: begin(unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES)}
}

// edgeSize is the length of an edge: struct nlmsghdr and struct nfgenmsg.
const edgeSize = unix.NLMSG_HDRLEN + 4

// appendMessage writes a message (struct nlmsghdr in linux/netlink.h). Data is a multiple of 4 bytes long, as all of attrs are.
func appendMessage(b []byte, m netlink.Message, sequence uint32) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(unix.NLMSG_HDRLEN+len(m.Data)))
	b = binary.NativeEndian.AppendUint16(b, uint16(m.Header.Type))
	b = binary.NativeEndian.AppendUint16(b, uint16(m.Header.Flags|netlink.Request))
	b = binary.NativeEndian.AppendUint32(b, sequence)
	b = binary.NativeEndian.AppendUint32(b, 0) // the port, which the kernel knows
	return append(b, m.Data...)
}

func (s *socket) send(b []byte) error {
	var err error
	if failed := s.raw.Write(func(fd uintptr) bool {
		_, err = unix.Write(int(fd), b)
		return !errors.Is(err, unix.EAGAIN)
	}); failed != nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("sending to nftables: %w", explain(err))
	}
	return nil
}

// outcome reads answers up to the one to the message last, and returns the first error. An error about first, the
// transaction as a whole, is final too. What belongs to an earlier transaction is passed over.
func (s *socket) outcome(first, last uint32) error {
	var failed error
	for {
		sequence, answer, err := s.answer()
		switch {
		case err != nil:
			return fmt.Errorf("reading nftables' answer: %w", err)
		case sequence-first > last-first:
			continue
		case failed == nil && answer != 0:
			failed = explain(answer)
		}
		if sequence == first || sequence == last {
			return failed
		}
	}
}

// answer receives what the kernel says to a message: 0 if it was right. The kernel has applied a transaction by the time that
// it is sent, in the sender's own time, so it has answered, and the context is asked before: to read on is how the outcome
// is known.
func (s *socket) answer() (sequence uint32, answer unix.Errno, err error) {
	for {
		n, err := s.receive()
		if err != nil {
			return 0, 0, err
		}
		// struct nlmsghdr, then the error of struct nlmsgerr, negative (linux/netlink.h).
		b := s.answers[:n]
		if len(b) < unix.NLMSG_HDRLEN+4 || binary.NativeEndian.Uint16(b[4:]) != unix.NLMSG_ERROR {
			continue // what is left of a dump that was given up
		}
		return binary.NativeEndian.Uint32(b[8:]), unix.Errno(-int32(binary.NativeEndian.Uint32(b[unix.NLMSG_HDRLEN:]))), nil
	}
}

// receive reads a datagram; an error has one for itself (netlink_ack in net/netlink/af_netlink.c).
func (s *socket) receive() (n int, err error) {
	waits := false
	defer func() {
		if waits {
			s.awaited()
		}
	}()
	failed := s.raw.Read(func(fd uintptr) bool {
		if n, err = unix.Read(int(fd), s.answers[:]); !errors.Is(err, unix.EAGAIN) {
			return true
		}
		if !waits {
			waits = s.await() == nil
		}
		return !waits
	})
	if failed != nil {
		err = failed
	}
	return n, err
}

// await bounds the wait for the answer to what was sent, awaited ends that: a bound of before would end later reads.
func (s *socket) await() error { return s.conn.SetReadDeadline(time.Now().Add(answerWait)) }

func (s *socket) awaited() { _ = s.conn.SetReadDeadline(time.Time{}) }

// transactAll applies a list of any length in as many transactions as it takes.
func (s *socket) transactAll(ctx context.Context, messages []netlink.Message) error {
	for len(messages) > 0 {
		n, size := 0, 0
		for n < len(messages) && (n == 0 || size+len(messages[n].Data) <= transactionSize) {
			size += len(messages[n].Data) + unix.NLMSG_HDRLEN
			n++
		}
		if err := s.transact(ctx, messages[:n]...); err != nil {
			return err
		}
		messages = messages[n:]
	}
	return nil
}

// dumpTries is how often a dump that others' changes interrupt is begun anew.
const dumpTries = 20

// errInterrupted is a dump that was interrupted again and again.
var errInterrupted = errors.New("the ruleset keeps changing while it is read")

// dump reads a list of objects, whole.
func (s *socket) dump(ctx context.Context, kind int, body attrs) ([]netlink.Message, error) {
	for range dumpTries {
		found, err := s.request(ctx, message(kind, netlink.Dump, body))
		if errors.Is(err, unix.EINTR) || interrupted(found) {
			continue
		}
		return found, err
	}
	return nil, errInterrupted
}

func interrupted(found []netlink.Message) bool {
	for _, m := range found {
		if m.Header.Flags&netlink.DumpInterrupted != 0 {
			return true
		}
	}
	return false
}

// request sends one message outside a transaction and returns the answers.
func (s *socket) request(ctx context.Context, m netlink.Message) ([]netlink.Message, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sent, err := s.conn.Send(m)
	if err != nil {
		return nil, fmt.Errorf("sending to nftables: %w", err)
	}
	if err := s.await(); err != nil {
		return nil, err
	}
	defer s.awaited()
	for {
		answers, err := s.conn.Receive()
		if op, ok := errors.AsType[*netlink.OpError](err); ok && op.Sequence != 0 && op.Sequence != sent.Header.Sequence {
			continue
		}
		if err != nil {
			return nil, explain(err)
		}
		if len(answers) > 0 && answers[0].Header.Sequence != sent.Header.Sequence {
			continue
		}
		return answers, nil
	}
}
