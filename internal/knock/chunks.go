package knock

// chunks is an array that grows without being moved, so that a flood costs no copying and memory is taken as it is
// touched. Places are numbered from 1.
type chunks[T any] struct {
	blocks [][]T
	used   uint32
	// free are the places that were given back.
	free []uint32
}

const (
	chunkBits = 10
	chunkSize = 1 << chunkBits
)

func (c *chunks[T]) at(i uint32) *T { return &c.blocks[i>>chunkBits][i&(chunkSize-1)] }

// take returns a place; what is in it is of its last use.
func (c *chunks[T]) take() uint32 {
	if last := len(c.free) - 1; last >= 0 {
		i := c.free[last]
		c.free = c.free[:last]
		return i
	}
	c.used++
	if int(c.used>>chunkBits) == len(c.blocks) {
		c.blocks = append(c.blocks, make([]T, chunkSize))
	}
	return c.used
}

func (c *chunks[T]) give(i uint32) { c.free = append(c.free, i) }
