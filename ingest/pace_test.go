package ingest

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	start := time.Now()
	var p pace
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	left := func(s, want float64, when string) {
		t.Helper()
		if got := p.left(at(s), 40); got != want {
			t.Errorf("%s: %v s left, want %v", when, got, want)
		}
	}
	p.start(at(0), 10) // ten were kept from before: they cost no time
	left(1, 0, "before the first")
	p.reach(at(10), 11)
	left(10, 0, "after one")
	p.reach(at(14), 12)
	left(14, 28*7, "after two of 10 s and 4 s")
	p.reach(at(14), 12)
	left(17, 28*7-3, "3 s into the third")
	left(90, 28*7-7, "when one takes longer than usual")
	p.wait(at(90), true)
	left(90, 0, "while it waits")
	p.wait(at(3690), false)
	p.reach(at(3690), 13)
	left(3690, 27*30, "after an hour's wait") // (10 + 4 + 76) / 3
}

func TestPaceForgets(t *testing.T) {
	now := time.Now()
	var p pace
	p.start(now, 0)
	for n := range 50 {
		now = now.Add(time.Minute)
		p.reach(now, n+1)
	}
	for n := 50; n < 70; n++ {
		now = now.Add(time.Second)
		p.reach(now, n+1)
	}
	if got := p.left(now, 100); got != 30 {
		t.Errorf("a stage that got faster has %v s left, want 30", got)
	}
	p.start(now, 0)
	if got := p.left(now, 100); got != 0 {
		t.Errorf("the next stage has %v s left before it did anything", got)
	}
}

// TestPaceOfWindows is that of a recording, whose windows are of different lengths.
func TestPaceOfWindows(t *testing.T) {
	now := time.Now()
	var p pace
	p.start(now, 0)
	p.reach(now.Add(90*time.Second), 900)
	p.reach(now.Add(150*time.Second), 1500)
	if got := p.left(now.Add(150*time.Second), 2520); got != 102 {
		t.Errorf("%v s left, want 102: a tenth of 1020 s", got)
	}
}

func TestPaceOfStepThatEndsInAWait(t *testing.T) {
	now := time.Now()
	var p pace
	p.start(now, 0)
	p.reach(now.Add(10*time.Second), 1)
	p.wait(now.Add(12*time.Second), true) // the next page's drawing waits while this one is read
	p.reach(now.Add(20*time.Second), 2)
	p.wait(now.Add(600*time.Second), false)
	p.reach(now.Add(610*time.Second), 3)
	if got := p.left(now.Add(610*time.Second), 13); got != 100 {
		t.Errorf("%v s left, want 100", got)
	}
}
