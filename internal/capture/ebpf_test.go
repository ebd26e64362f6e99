package capture

import (
	"errors"
	"io/fs"
	"sync"
	"testing"

	"github.com/cilium/ebpf"

	"knockd/internal/capture/bpf"
	"knockd/internal/config"
	"knockd/internal/netlab"
	"knockd/internal/netlab/netlabtest"
)

// needEBPF skips where this kernel or this user can't have the backend.
func needEBPF(t testing.TB) {
	t.Helper()
	netlabtest.Check(t, canEBPF())
}

// canEBPF tries once.
var canEBPF = sync.OnceValue(func() error {
	var o bpf.KnockObjects
	err := loadEBPF(&o)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, ebpf.ErrNotSupported) {
		return &netlab.Unsupported{What: "the eBPF backend", Err: err}
	}
	if err != nil {
		return err
	}
	return o.Close()
})

func TestEBPF(t *testing.T) {
	needEBPF(t)
	testBackend(t, config.CaptureEBPF)
}
