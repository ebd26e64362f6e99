package knock

import (
	"fmt"
	"testing"
	"time"
)

func TestSetSequence(t *testing.T) {
	e := engineOf(doorOf(25, 1, 2, 3), doorOf(25, 1, 2, 4))
	knocks(e, alice, 1, 2)
	e.SetSequence(0, tcp(7, 8))
	if got := knocks(e, alice, 3); got != "" {
		t.Errorf("the old sequence: %q", got)
	}
	knocks(e, bob, 1, 2)
	e.SetSequence(0, nil)
	if got := knocks(e, bob, 4); got != "1:open" {
		t.Errorf("the other door: %q", got)
	}
	if got := knocks(e, bob, 7, 8); got != ", " {
		t.Errorf("no sequence: %q", got)
	}
	e.SetSequence(0, tcp(7, 8))
	if got := knocks(e, bob, 7, 8); got != "0:1, 0:open" {
		t.Errorf("the new sequence: %q", got)
	}
}

func TestSetSequenceOfASharedFirstPort(t *testing.T) {
	e := engineOf(doorOf(25, 1, 2), doorOf(25, 1, 3))
	knocks(e, alice, 1)
	knocks(e, bob, 1)
	e.SetSequence(0, tcp(1, 4))
	if got := knocks(e, alice, 4); got != "" {
		t.Errorf("the new sequence, begun before it was one: %q", got)
	}
	if got := knocks(e, bob, 3); got != "1:open" {
		t.Errorf("the other door: %q", got)
	}
	if got := knocks(e, alice, 1, 4); got != "0:1 1:1, 0:open" {
		t.Errorf("the new sequence: %q", got)
	}
}

func TestManySequencesTakeNoMemory(t *testing.T) {
	e := engineOf(doorOf(25, 1, 2), doorOf(25, 3, 4))
	for i := range 3000 {
		p := hit(visitor(uint32(i)), time.Duration(i)*time.Second, uint16(1+i%5))
		e.Step(&p, nil)
		e.Expire(time.Duration(i)*time.Second, nil)
		e.SetSequence(0, tcp(uint16(1+i%7), uint16(10+i%3)))
	}
	if n := len(e.strangers.all); n > 100 {
		t.Errorf("%d signatures", n)
	}
	expireAll(t, e)
}

func TestAdopt(t *testing.T) {
	old := engineOf(doorOf(25, 1, 2, 3), doorOf(25, 4, 5, 6), doorOf(25, 1, 2, 9))
	knocks(old, alice, 1, 2)
	knocks(old, bob, 4, 5)
	e := engineOf(doorOf(25, 4, 5, 6), doorOf(25, 1, 2, 3))
	e.Adopt(old, []int{1, 0, -1})
	p, q := hit(alice, 3*time.Second, 3), hit(bob, 3*time.Second, 6)
	if got := tell(e.Step(&p, nil)) + " " + tell(e.Step(&q, nil)); got != "1:open 0:open" {
		t.Error(got)
	}
	if s := e.Stats(); s.Sources != 0 || s.Alignments != 0 {
		t.Errorf("left: %+v", s)
	}
}

// TestAdoptStrangers: one whose doors change their places, one that loses a door, one that loses them all.
func TestAdoptStrangers(t *testing.T) {
	old := engineOf(doorOf(25, 1, 2), doorOf(25, 1, 3), doorOf(9, 4, 5), doorOf(25, 6, 7))
	for i := range uint32(2500) { // more than a block
		p := hit(visitor(i), time.Duration(i)*time.Millisecond, []uint16{1, 4, 6}[i%3])
		old.Step(&p, nil)
	}
	e := engineOf(doorOf(9, 4, 5), doorOf(25, 1, 8), doorOf(25, 1, 3))
	e.Adopt(old, []int{-1, 2, 0, -1})
	if s := e.Stats(); s.Sources != 2500*2/3+1 || s.Bytes > 6<<20 {
		t.Errorf("%+v", s)
	}
	next := func(i uint32, port uint16) string {
		p := hit(visitor(i), 3*time.Second, port)
		return tell(e.Step(&p, nil))
	}
	got := fmt.Sprintf("%s %s %s %s", next(0, 3), next(3, 8), next(1, 5), next(2499, 3))
	if got != "2:open  0:open 2:open" {
		t.Error(got)
	}
	if at, _ := e.NextDeadline(); at != 9*time.Second+4*time.Millisecond {
		t.Errorf("next deadline %v", at)
	}
	if n := expireAll(t, e); n != 2500*2/3+1-4 {
		t.Errorf("%d died", n)
	}
}
