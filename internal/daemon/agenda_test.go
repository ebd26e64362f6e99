package daemon

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestAgendaInOrder(t *testing.T) {
	var a agenda
	var done []time.Duration
	r := rand.New(rand.NewPCG(1, 1))
	var entries []*entry
	for range 200 {
		at := time.Duration(r.IntN(50)) * time.Second
		entries = append(entries, a.at(at, func(time.Duration) { done = append(done, at) }))
	}
	cancelled := 0
	for i, e := range entries {
		if i%3 == 0 {
			a.cancel(e)
			a.cancel(e) // twice is once
			cancelled++
		}
	}
	if next, ok := a.next(); !ok || next < 0 {
		t.Fatalf("next %v, %v", next, ok)
	}
	a.run(24 * time.Second)
	for _, at := range done {
		if at > 24*time.Second {
			t.Fatalf("%v was done early", at)
		}
	}
	a.run(time.Hour)
	if len(done) != len(entries)-cancelled || !slices.IsSorted(done) {
		t.Errorf("%d done of %d, in order: %v", len(done), len(entries)-cancelled, slices.IsSorted(done))
	}
	if _, ok := a.next(); ok {
		t.Error("something is left")
	}
}

func TestAgendaOfOneTimeKeepsItsOrder(t *testing.T) {
	var a agenda
	var done []int
	for i := range 20 {
		a.at(time.Second, func(time.Duration) { done = append(done, i) })
	}
	a.run(time.Second)
	if !slices.IsSorted(done) || len(done) != 20 {
		t.Error(done)
	}
}

func TestAgendaEntryMayPlanAnother(t *testing.T) {
	var a agenda
	count := 0
	var again func(time.Duration)
	again = func(now time.Duration) {
		if count++; count < 5 {
			a.at(now, again)
		}
	}
	a.at(0, again)
	a.run(0)
	if count != 5 {
		t.Error(count)
	}
}
