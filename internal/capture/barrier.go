package capture

import "sync"

// barrier carries Sync to every goroutine that delivers packets, and tells when all of them have passed it.
type barrier struct {
	mu      sync.Mutex
	asked   uint64
	marked  uint64
	members map[*member]struct{}
	// mark has a value when a token is ready to be delivered; its size of one makes newer tokens stand for older.
	mark chan struct{}
}

// member is the part of one delivering goroutine.
type member struct {
	barrier *barrier
	wake    func()
	passed  uint64
}

func newBarrier() *barrier {
	return &barrier{members: map[*member]struct{}{}, mark: make(chan struct{}, 1)}
}

// ask starts a round. It never blocks.
func (b *barrier) ask(token uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = max(b.asked, token)
	for m := range b.members {
		m.wake()
	}
	b.settle()
}

// settled returns the newest token that every member has passed.
func (b *barrier) settled() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.marked
}

// settle notes the newest token that all have passed. The lock is held.
func (b *barrier) settle() {
	low := b.asked
	for m := range b.members {
		low = min(low, m.passed)
	}
	if low <= b.marked {
		return
	}
	b.marked = low
	select {
	case b.mark <- struct{}{}:
	default:
	}
}

// join adds a goroutine that delivers packets. wake is called from other goroutines under the barrier's lock: it
// must make the goroutine call token soon, and must neither block nor call the barrier.
func (b *barrier) join(wake func()) *member {
	b.mu.Lock()
	defer b.mu.Unlock()
	// What was asked before it began cannot concern it.
	m := &member{barrier: b, wake: wake, passed: b.asked}
	b.members[m] = struct{}{}
	return m
}

// token is read before draining; what it returned is handed to pass when everything that was there is delivered.
func (m *member) token() uint64 {
	m.barrier.mu.Lock()
	defer m.barrier.mu.Unlock()
	return m.barrier.asked
}

// pass says that whatever had arrived when token was called is delivered.
func (m *member) pass(token uint64) {
	m.barrier.mu.Lock()
	defer m.barrier.mu.Unlock()
	m.passed = max(m.passed, token)
	m.barrier.settle()
}

// leave ends the membership: this goroutine will deliver no more.
func (m *member) leave() {
	m.barrier.mu.Lock()
	defer m.barrier.mu.Unlock()
	delete(m.barrier.members, m)
	m.barrier.settle()
}
