package capture

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/cilium/ebpf"

	"knockd/internal/config"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

// needEBPF skips where this kernel or this user can't have the backend.
func needEBPF(t testing.TB) {
	t.Helper()
	c := New(Options{})
	b, err := openEBPF(outlet{batches: c.batches, barrier: c.barrier, failed: c.failures.report})
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, ebpf.ErrNotSupported) {
		err = &netlab.Unsupported{What: "the eBPF backend", Err: err}
	}
	netlabtest.Check(t, err)
	b.close()
}

func TestEBPF(t *testing.T) {
	needEBPF(t)
	testBackend(t, config.CaptureEBPF)
}
