package daemon

import (
	"runtime"
	"testing"
)

func TestTwoProcessorsWhereThereIsOne(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for _, n := range []int{1, 2, 4} {
		runtime.GOMAXPROCS(n)
		first, second := compute(), compute()
		during := runtime.GOMAXPROCS(0)
		first()
		after := runtime.GOMAXPROCS(0)
		second()
		if want := max(n, 2); during != want || after != want || runtime.GOMAXPROCS(0) != n {
			t.Errorf("of %d processors %d, %d, then %d", n, during, after, runtime.GOMAXPROCS(0))
		}
	}
}
