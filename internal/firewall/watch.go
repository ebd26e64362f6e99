package firewall

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"knockd/internal/config"
)

// Loss is a change of what was installed, by somebody else.
type Loss struct {
	// What was changed, as in "the table inet knockd".
	What string
	// Process is the culprit's name and PID its thread, in the first pid namespace; empty and 0 where unknown.
	Process string
	PID     int
}

// Watch reports what others do to the table, and sets of the user's that others made anew, until ctx is done; then it
// returns nil. It may run beside the other methods, and before Install. Nothing is put right by it: Install does that.
func (k *Kernel) Watch(ctx context.Context, lost chan<- Loss) error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{MessageBufferSize: receiveSize})
	if err != nil {
		return fmt.Errorf("watching nftables: opening a netlink socket: %w", err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetReadBuffer(4 << 20)
	if err := conn.JoinGroup(unix.NFNLGRP_NFTABLES); err != nil {
		return fmt.Errorf("watching nftables: joining the group of its events: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	w := watcher{k: k, lost: lost, suspect: true}
	w.decide(ctx, Loss{}) // what happened before it listened
	for {
		messages, err := conn.Receive()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS):
			w = watcher{k: k, lost: lost, suspect: true}
			w.decide(ctx, Loss{})
		case err != nil:
			return fmt.Errorf("watching nftables: %w", err)
		}
		for _, m := range messages {
			w.see(ctx, m)
		}
	}
}

// watcher collects the events of a transaction, up to the one that names its author.
type watcher struct {
	k    *Kernel
	lost chan<- Loss
	// suspect: something of ours may be different. certain: it is. set: that set of the user's is new.
	suspect, certain bool
	set              string
}

// see takes one event. The messages of a transaction carry its socket's port: our own changes are passed over.
func (w *watcher) see(ctx context.Context, m netlink.Message) {
	if m.Header.Type>>8 != unix.NFNL_SUBSYS_NFTABLES || m.Header.PID == w.k.socket.conn.PID() {
		return
	}
	kind := int(m.Header.Type & 0xff)
	if kind == unix.NFT_MSG_NEWGEN {
		w.decide(ctx, culprit(m))
		return
	}
	w.object(kind, m)
}

// object notes what was changed. In all objects' messages the first attribute is the table, the second of a set its
// name; a table's first is its own name.
func (w *watcher) object(kind int, m netlink.Message) {
	if len(m.Data) < 4 {
		return
	}
	var table, name string
	attributes(m, func(kind uint16, value []byte) {
		switch kind {
		case unix.NFTA_SET_TABLE:
			table = toText(value)
		case unix.NFTA_SET_NAME:
			name = toText(value)
		}
	})
	family := m.Data[0]
	switch {
	case family == unix.NFPROTO_INET && table == tableName:
		w.suspect = true
		w.certain = w.certain || kind == unix.NFT_MSG_DELSETELEM
	case kind == unix.NFT_MSG_NEWSET:
		if ref, ok := w.k.uses(place{family, table, name}); ok {
			w.set = ref
		}
	}
}

// culprit reads who began a generation of the ruleset.
func culprit(m netlink.Message) Loss {
	var l Loss
	attributes(m, func(kind uint16, value []byte) {
		switch kind {
		case unix.NFTA_GEN_PROC_PID:
			l.PID = int(toU32(value))
		case unix.NFTA_GEN_PROC_NAME:
			l.Process = toText(value)
		}
	})
	return l
}

// decide ends a transaction: what is suspected is looked at.
func (w *watcher) decide(ctx context.Context, by Loss) {
	suspect, certain, set := w.suspect, w.certain, w.set
	w.suspect, w.certain, w.set = false, false, ""
	switch {
	case suspect && w.k.changed(ctx, certain):
		by.What = "the table inet " + tableName
	case set != "":
		by.What = "the set " + set
	default:
		return
	}
	select {
	case w.lost <- by:
	case <-ctx.Done():
	}
}

// changed reports whether the table is not what was installed.
func (k *Kernel) changed(ctx context.Context, certain bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.g == 0 {
		return false
	}
	print, err := k.socket.fingerprint(ctx, k.g)
	return certain || err != nil || print != k.print || !k.leased(ctx)
}

// leased reports whether the lease has its elements, if it is one that does not run out.
func (k *Kernel) leased(ctx context.Context) bool {
	if k.rules.Lease > 0 {
		return true
	}
	elements, err := k.socket.elements(ctx, ours(k.g.name(leaseName)))
	return err == nil && len(elements) == len(k.lease)
}

// uses finds the set among the doors'.
func (k *Kernel) uses(p place) (string, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, d := range k.doors {
		for _, ref := range []*config.SetRef{d.Set4, d.Set6} {
			if ref != nil && d.v4 == nil && (place{families[ref.Family], ref.Table, ref.Set}) == p {
				return setName(*ref), true
			}
		}
	}
	return "", false
}
