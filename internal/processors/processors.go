// Package processors gives the readers and the loop processors of Go's beside what computes for long, or blocks unseen by Go.
//
// Go runs on as many processors as there are. On one, a knock's way through the daemon wakes no other thread, and is the
// quicker for it; but what computes for long would keep the readers from their rings for ten milliseconds at a time, where
// the kernel shares by less. So there are more while something does.
package processors

import (
	"runtime"
	"sync"
)

// enough is for a reader and the loop, beside a file that is loaded and the collection of its garbage.
const enough = 4

var state struct {
	sync.Mutex
	// busy is how many compute, before is how many processors there were then.
	busy, before int
}

// Compute is called before what computes for long, and the function that it returns behind it.
func Compute() (end func()) {
	state.Lock()
	defer state.Unlock()
	if state.busy++; state.busy == 1 {
		if state.before = runtime.GOMAXPROCS(0); state.before < enough {
			runtime.GOMAXPROCS(enough)
		}
	}
	return done
}

func done() {
	state.Lock()
	defer state.Unlock()
	if state.busy--; state.busy == 0 && state.before < enough {
		runtime.GOMAXPROCS(state.before)
	}
}
