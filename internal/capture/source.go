package capture

// source is where a socket's packets wait: a ring shared with the kernel or, where there is no memory for one, the
// socket's receive queue.
type source interface {
	// read calls fn with the next packet, if there is one. The frame is valid only during the call.
	read(fn func(*frame)) bool
	// capacity is about the most packets that can wait.
	capacity() int
	close() error
}

// openSource makes a ring of size bytes or less, else a queue.
func openSource(fd, size int) (source, error) {
	if r, err := openRing(fd, size); err == nil {
		return r, nil
	}
	return openQueue(fd)
}
