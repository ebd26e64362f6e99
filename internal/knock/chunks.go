package knock

// chunks is an array that grows without being moved, so that a flood costs no copying and memory is taken as it is
// touched. Places are numbered from 1.
type chunks[T any] struct {
	blocks [][]T
	used   uint32
}

const (
	chunkBits = 10
	chunkSize = 1 << chunkBits
)

func (c *chunks[T]) at(i uint32) *T { return &c.blocks[i>>chunkBits][i&(chunkSize-1)] }

// grow returns a place that was never used.
func (c *chunks[T]) grow() uint32 {
	c.used++
	if int(c.used>>chunkBits) == len(c.blocks) {
		c.blocks = append(c.blocks, make([]T, chunkSize))
	}
	return c.used
}
