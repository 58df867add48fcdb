package ingest

import (
	"math"
	"time"
)

// paceSteps is how many steps of a stage say how fast it goes now.
const paceSteps = 20

// A pace is how fast the pages, or the seconds of a recording, of a stage are
// done. The time in which the work waited does not count.
type pace struct {
	began time.Time // the step in hand, or the last wait in it
	spent time.Duration
	done  int // when it began
	waits bool
	steps []step // the latest, oldest first
}

// A step is so many units, done one after the other in so much time.
type step struct {
	units int
	spent time.Duration
}

// start begins a stage of which some is done already.
func (p *pace) start(now time.Time, done int) { *p = pace{began: now, done: done} }

// reach takes note that so much is done.
func (p *pace) reach(now time.Time, done int) {
	if done <= p.done {
		return
	}
	p.spent += now.Sub(p.began) // also while it waits: what came to its end was worked on
	p.steps = append(p.steps, step{done - p.done, p.spent})
	p.steps = p.steps[max(0, len(p.steps)-paceSteps):]
	p.began, p.spent, p.done = now, 0, done
}

// wait takes note that the work waits, or goes on.
func (p *pace) wait(now time.Time, waits bool) {
	if waits && !p.waits {
		p.spent += now.Sub(p.began)
	}
	p.began, p.waits = now, waits
}

// left is how many seconds the stage may take still; 0 where that cannot be
// told: of one step nobody knows whether it was a usual one, and a wait may last.
func (p *pace) left(now time.Time, total int) float64 {
	if len(p.steps) < 2 || p.waits {
		return 0
	}
	var units int
	var spent time.Duration
	for _, s := range p.steps {
		units, spent = units+s.units, spent+s.spent
	}
	each := spent.Seconds() / float64(units)
	rest := each * float64(total-p.done)
	// The step in hand has come some way, but takes no more than such a step usually does.
	usual := each * float64(p.steps[len(p.steps)-1].units)
	rest -= min(usual, (p.spent + now.Sub(p.began)).Seconds())
	return max(0, math.Round(rest))
}
