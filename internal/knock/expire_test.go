package knock

import (
	"testing"
	"time"
)

func TestExpire(t *testing.T) {
	e := engineOf(doorOf(5, 1, 2, 3), doorOf(9, 1, 2, 4))
	knocks(e, alice, 1, 2)
	if at, ok := e.NextDeadline(); !ok || at != 5*time.Second {
		t.Fatalf("next deadline %v, %v", at, ok)
	}
	if got := tell(e.Expire(5*time.Second-1, nil)); got != "" {
		t.Errorf("too early: %q", got)
	}
	if got := tell(e.Expire(5*time.Second, nil)); got != "0:timeout2" {
		t.Errorf("%q", got)
	}
	if got := tell(e.Expire(time.Hour, nil)); got != "1:timeout2" {
		t.Errorf("%q", got)
	}
	if _, ok := e.NextDeadline(); ok || e.Stats().Sources != 0 || e.Stats().Alignments != 0 {
		t.Errorf("left: %+v", e.Stats())
	}
}

func TestAHeldFirstPacketKeepsItsOwnTime(t *testing.T) {
	e := engineOf(doorOf(10, 1, 2))
	p := hit(bob, 100*time.Second, 1)
	e.Step(&p, nil)
	held := hit(alice, 95*time.Second, 1)
	e.Step(&held, nil)
	if at, _ := e.NextDeadline(); at != 105*time.Second {
		t.Errorf("next deadline %v", at)
	}
	if got := tell(e.Expire(106*time.Second, nil)); got != "0:timeout1" {
		t.Errorf("%q", got)
	}
	p = hit(bob, 90*time.Second, 2) // older than its predecessor: counts as equal to it
	if got := e.Step(&p, nil); tell(got) != "0:open" || got[0].Time != 100*time.Second {
		t.Errorf("%v", got)
	}
}

// TestWhatIsSaidOfTheDead shows a door hits a second apart, and tells what is said when everything has died.
func TestWhatIsSaidOfTheDead(t *testing.T) {
	for _, test := range []struct {
		name  string
		doors []Door
		hits  []uint16
		want  string
	}{
		{"the stage that died", []Door{doorOf(25, 1, 2, 3)}, []uint16{1, 2}, "0:timeout2"},
		{"the highest of several, once", []Door{doorOf(25, 1, 1, 2)}, []uint16{1, 1}, "0:timeout2"},
		{"nothing of what was broken", []Door{doorOf(25, 1, 2, 3)}, []uint16{1, 2, 1}, "0:timeout1"},
		{"nothing of a door that opened", []Door{doorOf(25, 1, 2, 1)}, []uint16{1, 2, 1}, ""},
		{"nothing of an unspoken beginning", []Door{doorOf(25, 1, 2, 3), doorOf(25, 3, 2, 1)}, []uint16{1, 2, 3}, ""},
		{"an unspoken beginning that went on", []Door{doorOf(25, 1, 2, 3), doorOf(25, 3, 2, 1)}, []uint16{1, 2, 3, 2}, "1:timeout2"},
		{"each door", []Door{doorOf(25, 1, 2), doorOf(9, 1, 3), doorOf(25, 1, 4)}, []uint16{1}, "1:timeout1 0:timeout1 2:timeout1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := engineOf(test.doors...)
			knocks(e, alice, test.hits...)
			if got := tell(e.Expire(time.Hour, nil)); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			if s := e.Stats(); s.Sources != 0 || s.Alignments != 0 {
				t.Errorf("left: %+v", s)
			}
		})
	}
}

// TestTheLastToDieSpeaksForAll: a knock at stage 5 dies while one at stage 2 lives; a packet ends that and begins another;
// when it dies too, stage 5 is the highest that died since the door last knew nothing of the source.
func TestTheLastToDieSpeaksForAll(t *testing.T) {
	e := engineOf(doorOf(10, 1, 2, 3, 1, 2, 4))
	knocks(e, alice, 1, 2, 3, 1, 2)
	p := hit(alice, 11*time.Second, 1)
	if got := tell(e.Step(&p, nil)); got != "0:1" {
		t.Errorf("%q", got)
	}
	if got := tell(e.Expire(time.Minute, nil)); got != "0:timeout5" {
		t.Errorf("%q", got)
	}
}

func TestLessThanTheTimeout(t *testing.T) {
	for late, want := range map[time.Duration]string{-1: "0:open", 0: "0:timeout1"} {
		for _, stage := range []uint16{1, 2} { // a stranger, and a source
			e := engineOf(Door{Sequence: tcp(1, 2, 3)[:stage+1], Timeout: 25 * time.Second})
			for port := uint16(1); port <= stage; port++ {
				p := hit(alice, time.Second, port)
				e.Step(&p, nil)
			}
			p := hit(alice, 26*time.Second+late, stage+1)
			got := tell(e.Step(&p, nil))
			if stage == 2 && want != "0:open" {
				want = "0:timeout2"
			}
			if got != want {
				t.Errorf("%v after the timeout, stage %d: %q, want %q", late, stage, got, want)
			}
		}
	}
}

func TestATimeoutWithoutEnd(t *testing.T) {
	e := engineOf(Door{Sequence: tcp(1, 2, 3), Timeout: 1<<63 - 1})
	if got := knocks(e, alice, 1, 2, 3); got != "0:1, 0:2, 0:open" {
		t.Error(got)
	}
}

// TestRareTimeouts has more different timeouts than there are lists.
func TestRareTimeouts(t *testing.T) {
	var doors []Door
	for i := range 100 {
		doors = append(doors, doorOf(200-i, 1, 2))
	}
	e := engineOf(doors...)
	p := hit(alice, 0, 1)
	e.Step(&p, nil)
	for i := range 100 {
		at, ok := e.NextDeadline()
		if want := time.Duration(101+i) * time.Second; !ok || at != want {
			t.Fatalf("deadline %d: %v, %v", i, at, ok)
		}
		if events := e.Expire(at, nil); len(events) != 1 || events[0].Door != 99-i {
			t.Fatalf("deadline %d: %v", i, events)
		}
	}
	expireAll(t, e)
}

func TestADeathLeavesTheOthersAlone(t *testing.T) {
	e := engineOf(doorOf(5, 1, 2, 3))
	knocks(e, alice, 1, 2)
	p := hit(bob, 4*time.Second, 1)
	e.Step(&p, nil)
	if got := tell(e.Expire(6*time.Second, nil)); got != "0:timeout2" {
		t.Errorf("%q", got)
	}
	for port, want := range map[uint16]string{2: "0:2"} {
		p := hit(bob, 7*time.Second, port)
		if got := tell(e.Step(&p, nil)); got != want {
			t.Errorf("%q", got)
		}
	}
}
