package knock

import (
	"hash/maphash"
	"net/netip"
)

// key is an address as the tables hold it: an IPv4 one as IPv4-mapped, which no packet's source may be.
type key [16]byte

func (k key) ip() netip.Addr { return netip.AddrFrom16(k).Unmap() }

// hash places sources in the tables. The seed is the engine's own: nobody else can choose collisions.
type hash struct{ seed maphash.Seed }

func (h hash) of(k *key, destination uint32) uint64 {
	return maphash.Bytes(h.seed, k[:]) ^ uint64(destination)*0x9e3779b97f4a7c15
}

// buckets are the heads of the chains of a hash table.
type buckets struct {
	heads []uint32
	mask  uint64
}

// newBuckets returns as many as there are entries at most, rounded up to a power of two. The memory is touched as it is
// used.
func newBuckets(entries int) buckets {
	size := 1
	for size < entries {
		size *= 2
	}
	return buckets{heads: make([]uint32, size), mask: uint64(size - 1)}
}

func (b *buckets) head(hash uint64) *uint32 { return &b.heads[hash&b.mask] }

func (b *buckets) bytes() int { return 4 * len(b.heads) }
