package capture

import (
	"fmt"

	"knockd/internal/config"
)

// choose returns the backend that was asked for. With CaptureAuto that is eBPF where it works; reason is then why it
// does not.
func choose(asked config.Backend, out outlet) (b backend, reason, err error) {
	if asked == config.CaptureClassic {
		b, err = openClassic(out)
		return b, nil, err
	}
	b, err = openEBPF(out)
	if err == nil {
		return b, nil, nil
	}
	err = fmt.Errorf("eBPF: %w", err)
	if asked == config.CaptureEBPF {
		return nil, nil, err
	}
	reason = err
	b, err = openClassic(out)
	return b, reason, err
}
