package client

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// Knock is a sequence of hits at one address.
type Knock struct {
	To        netip.Addr
	Hits      []Hit
	Delay     time.Duration // between two hits, none after the last
	Interface string        // the interface to send through, empty: the route's; Linux only
	Source    netip.Addr    // the address to send from, zero: the route's
	Before    func(Hit)     // called before each hit, if not nil
}

// Send sends the hits in order. A TCP hit is one SYN, a UDP hit a datagram of one zero byte; none waits for an answer or
// is sent again. An error means that a hit could not be sent; those after it are not sent either.
func (k *Knock) Send(ctx context.Context) error {
	for i, hit := range k.Hits {
		if i > 0 {
			if err := sleep(ctx, k.Delay); err != nil {
				return err
			}
		}
		if k.Before != nil {
			k.Before(hit)
		}
		if err := k.hit(hit); err != nil {
			return fmt.Errorf("hitting %s %s:%d: %w", hit.Protocol(), k.To, hit.Port, err)
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
