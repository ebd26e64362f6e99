package processors

import (
	"runtime"
	"testing"
)

func TestEnoughWhileSomethingComputes(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for _, n := range []int{1, 2, 4, 8} {
		runtime.GOMAXPROCS(n)
		first, second := Compute(), Compute()
		during := runtime.GOMAXPROCS(0)
		first()
		after := runtime.GOMAXPROCS(0)
		second()
		if want := max(n, enough); during != want || after != want || runtime.GOMAXPROCS(0) != n {
			t.Errorf("of %d processors %d, %d, then %d", n, during, after, runtime.GOMAXPROCS(0))
		}
	}
}
