package daemon

import (
	"runtime"
	"sync"
)

// Go runs on as many processors as there are. On one, a knock's way through the daemon wakes no other thread, and is the
// quicker for it; but what computes for long would keep the readers from their rings for ten milliseconds at a time, where
// the kernel shares by less. So there are two while something does.
var processors struct {
	mu sync.Mutex
	// busy is how many compute, alone is set where there was one processor before.
	busy  int
	alone bool
}

// compute is called before what computes for long, and the function that it returns behind it.
func compute() (end func()) {
	p := &processors
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy++; p.busy == 1 {
		if p.alone = runtime.GOMAXPROCS(0) == 1; p.alone {
			runtime.GOMAXPROCS(2)
		}
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.busy--; p.busy == 0 && p.alone {
			runtime.GOMAXPROCS(1)
		}
	}
}
