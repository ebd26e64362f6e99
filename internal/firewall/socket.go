package firewall

import (
	"context"
	"errors"
	"fmt"
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
type socket struct{ conn *netlink.Conn }

func dial() (*socket, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{MessageBufferSize: receiveSize})
	if err != nil {
		return nil, fmt.Errorf("opening a netlink socket: %w", err)
	}
	// Errors come without the message that they are about (Linux 4.3). Extended ones are not asked for: the library
	// misreads those that are cut (netlink v1.11.2, checkMessage).
	_ = conn.SetOption(netlink.CapAcknowledge, true)
	_ = conn.SetReadBuffer(4 << 20)
	return &socket{conn: conn}, nil
}

func (s *socket) close() error { return s.conn.Close() }

// transact applies the messages as one transaction: all of them or none. The error is the kernel's first.
func (s *socket) transact(ctx context.Context, messages ...netlink.Message) error {
	failpoint.Hit("before a transaction")
	defer failpoint.Hit("behind a transaction")
	if len(messages) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	batch := make([]netlink.Message, 0, len(messages)+2)
	batch = append(batch, edge(unix.NFNL_MSG_BATCH_BEGIN))
	batch = append(batch, messages...)
	// The kernel answers errors unasked, in the order of the messages, and what was asked behind them: one
	// acknowledgement at the end says that everything before it was right.
	batch[len(batch)-1].Header.Flags |= netlink.Acknowledge
	batch = append(batch, edge(unix.NFNL_MSG_BATCH_END))
	sent, err := s.conn.SendMessages(batch)
	if err != nil {
		return fmt.Errorf("sending to nftables: %w", err)
	}
	if err := s.await(); err != nil {
		return err
	}
	return s.outcome(sent[0].Header.Sequence, sent[len(sent)-2].Header.Sequence)
}

// edge begins or ends a transaction.
func edge(kind netlink.HeaderType) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{Type: kind, Flags: netlink.Request},
		Data:   begin(unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES),
	}
}

// outcome reads answers up to the one to the message last, and returns the first error. An error about first, the
// transaction as a whole, is final too. What belongs to an earlier transaction is passed over.
func (s *socket) outcome(first, last uint32) error {
	var failed error
	for {
		answers, err := s.conn.Receive()
		if err != nil {
			op, ok := errors.AsType[*netlink.OpError](err)
			if !ok || op.Sequence == 0 {
				return fmt.Errorf("reading nftables' answer: %w", err)
			}
			if op.Sequence-first > last-first {
				continue
			}
			if failed == nil {
				failed = explain(err)
			}
			if op.Sequence == first || op.Sequence == last {
				return failed
			}
			continue
		}
		for _, m := range answers {
			if m.Header.Sequence == last {
				return failed
			}
		}
	}
}

// await bounds the wait for the answer to what was sent. The kernel has applied it by then, in the sender's own time,
// so the context is asked before: to read on is how the outcome is known.
func (s *socket) await() error { return s.conn.SetReadDeadline(time.Now().Add(answerWait)) }

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
