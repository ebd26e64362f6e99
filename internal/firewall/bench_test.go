package firewall_test

import (
	"net/netip"
	"testing"
	"time"

	"knockd/internal/firewall"
	"knockd/internal/netlab/netlabtest"
)

// BenchmarkGrant is the time from the call to the kernel's answer, and what it allocates.
func BenchmarkGrant(b *testing.B) {
	server := netlabtest.NewNamespace(b)
	var k *firewall.Kernel
	netlabtest.Check(b, server.Do(func() (err error) { k, err = firewall.NewKernel(); return err }))
	defer func() { _ = k.Close() }()
	if err := k.Install(b.Context(), rules(ssh(22)), nil); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		ip := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8 & 15), byte(i)})
		if err := k.Grant(b.Context(), "ssh", ip, time.Minute); err != nil {
			b.Fatal(err)
		}
	}
}
