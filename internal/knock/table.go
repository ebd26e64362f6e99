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

// buckets are the heads of the chains of a hash table, in blocks that are made when they are first looked at: a daemon that
// nobody knocks at holds none.
type buckets struct {
	heads []*[headsOfBlock]uint32
	mask  uint64
	made  int
}

const headsOfBlock = 1024

// newBuckets returns as many as there are entries at most, rounded up to a power of two.
func newBuckets(entries int) buckets {
	size := 1
	for size < entries {
		size *= 2
	}
	blocks := (size + headsOfBlock - 1) / headsOfBlock
	return buckets{heads: make([]*[headsOfBlock]uint32, blocks), mask: uint64(size - 1)}
}

func (b *buckets) head(hash uint64) *uint32 {
	i := hash & b.mask
	block := b.heads[i/headsOfBlock]
	if block == nil {
		block = new([headsOfBlock]uint32)
		b.heads[i/headsOfBlock] = block
		b.made++
	}
	return &block[i%headsOfBlock]
}

func (b *buckets) bytes() int { return 8*len(b.heads) + 4*headsOfBlock*b.made }
