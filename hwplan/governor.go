package hwplan

import (
	"fmt"
	"slices"
	"time"
)

// What the governor takes for strain, and for ease. Between the two its level stays as it is.
const (
	hotC   = 85 // above it a card is hot
	nearC  = 3  // or this near to its own slow-down threshold
	coolC  = 78 // below it a card is cool,
	belowC = 9  // and this far below its own threshold

	lowClock  = 0.6 // of the highest: well below it
	fairClock = 0.75
	loaded    = 50 // percent of utilization from which the clock says something

	slowRate = 0.7 // of the baseline
	fairRate = 0.85

	heatLasts  = 20 * time.Second // before it counts as strain
	clockLasts = time.Minute
	rateLasts  = 2 * time.Minute

	pauseAfter = time.Minute     // of strain at level 1
	offerAfter = 5 * time.Minute // of strain at level 2
	calm       = time.Minute     // of ease, for each level back

	freshRate = time.Minute     // an older answer says nothing about now
	slept     = 2 * time.Minute // without a sample: what was before it is over
)

// Rate is how fast the language model writes, in tokens per second.
type Rate struct {
	Recent   float64   // of the last answers
	Baseline float64   // of the same model, placed alike, when all is well; 0: not known yet
	At       time.Time // of the last answer; zero: none yet
}

// Advice is what the state of the machine asks of those who load it.
//
// Level 0 is normal. At 1 ingestion goes slowly: smaller batches, pauses between
// them. At 2 it pauses. At 3 a smaller language model is offered too; it is for
// the user to take. Reason says in a sentence why the level is what it became.
// Advice is comparable: one that differs from the last is worth an event.
type Advice struct {
	Level      int     `json:"level"`
	BatchScale float64 `json:"batch_scale"` // of the plan's batches
	Pause      bool    `json:"pause"`
	Offer      bool    `json:"offer"`
	Model      string  `json:"model,omitempty"` // the smaller one that is offered
	Reason     string  `json:"reason,omitempty"`
}

// A Governor turns readings of a machine into advice. It has no clock and no
// goroutine, and only one caller at a time; its zero value is ready.
//
// Strain is a card that is hot, or lowers its clocks for heat, for 20 s; an SM
// clock far below its highest under load for a minute; answers slower by 30 % for
// two minutes. It takes the level to 1, after another minute to 2, after five
// more to 3. A power cap is normal on laptops: it is no strain, nor is the lower
// clock it explains. Each minute of ease takes one level back. On battery the
// level is 1 at least, and slow answers are no surprise.
type Governor struct {
	heat, clock, slow time.Time // since when; zero: not
	step              time.Time // since when there has been strain at this level
	ease              time.Time // since when there has been ease at this level
	battery           time.Time // when it was last seen on battery
	seen              time.Time // the last sample

	level   int  // by strain
	floored bool // only the battery keeps the level at 1
	advice  Advice
}

// Observe takes a sample, which should come every few seconds under load, and returns the advice that now holds.
func (g *Governor) Observe(now time.Time, hw Hardware, rate Rate) Advice {
	if now.Sub(g.seen) > slept {
		*g = Governor{level: g.level, battery: g.battery, floored: g.floored, advice: g.advice}
	}
	g.seen = now
	why := g.strain(now, hw, rate)
	g.climb(now, why != "")
	g.descend(now, atEase(now, hw, rate))
	level, floored := g.floor(now, hw.Power.OnBattery)
	switch {
	case floored:
		why = "The computer runs on battery"
	case why == "" && g.floored:
		why = "The computer is on mains again"
	case why == "":
		why = "The machine is cool and fast enough again"
	}
	g.floored = floored
	if level != g.advice.Level {
		g.advice = advise(level, why)
	}
	g.advice.BatchScale = batchScale(level)
	return g.advice
}

// floor is the level by strain, or 1 if that is 0 and the machine runs on battery, or did a moment ago.
func (g *Governor) floor(now time.Time, onBattery bool) (level int, floored bool) {
	if onBattery {
		g.battery = now
	}
	if g.level == 0 && !g.battery.IsZero() && now.Sub(g.battery) < calm {
		return 1, true
	}
	return g.level, false
}

// strain says what strains the machine and has done so for long enough; "" where nothing has.
func (g *Governor) strain(now time.Time, hw Hardware, rate Rate) string {
	hot := lasts(&g.heat, now, slices.ContainsFunc(hw.GPUs, hot))
	low := lasts(&g.clock, now, slices.ContainsFunc(hw.GPUs, func(c GPU) bool { return clockBelow(c, lowClock) }))
	slow := g.slowed(now, hw, rate)
	switch {
	case hot >= heatLasts:
		card := slices.MaxFunc(hw.GPUs, func(a, b GPU) int { return a.TemperatureC - b.TemperatureC })
		return fmt.Sprintf("The graphics card is hot, at %d °C for %.0f seconds", card.TemperatureC, hot.Seconds())
	case low >= clockLasts:
		return fmt.Sprintf("The graphics card has run far below its highest clock for %.0f seconds", low.Seconds())
	case slow:
		return fmt.Sprintf("Answers come at %.1f tokens a second instead of %.1f", rate.Recent, rate.Baseline)
	}
	return ""
}

// lasts keeps in since from when on the thing holds, and returns for how long it has.
func lasts(since *time.Time, now time.Time, holds bool) time.Duration {
	switch {
	case !holds:
		*since = time.Time{}
	case since.IsZero():
		*since = now
	}
	if since.IsZero() {
		return 0
	}
	return now.Sub(*since)
}

// slowed reports whether answers have been slow for long enough. Its clock is that of
// the answers: while nobody asks, the last one, however slow, proves nothing.
func (g *Governor) slowed(now time.Time, hw Hardware, rate Rate) bool {
	slow := rate.Recent < slowRate*rate.Baseline && !hw.Power.OnBattery
	return lasts(&g.slow, rate.At, slow) >= rateLasts && now.Sub(rate.At) < freshRate
}

// climb raises the level while strain lasts.
func (g *Governor) climb(now time.Time, strained bool) {
	wait := []time.Duration{0, pauseAfter, offerAfter}
	lasted := lasts(&g.step, now, strained)
	if strained && g.level < len(wait) && lasted >= wait[g.level] {
		g.level++
		g.step = now
	}
}

// descend lowers the level while ease lasts.
func (g *Governor) descend(now time.Time, easy bool) {
	if lasts(&g.ease, now, easy) >= calm && g.level > 0 {
		g.level--
		g.ease = now
	}
}

// hot reports whether the card is too warm, or says so itself.
func hot(c GPU) bool {
	return c.TemperatureC > hotC || c.SlowdownC > 0 && c.TemperatureC >= c.SlowdownC-nearC || slices.Contains(c.Throttle, "thermal")
}

// clockBelow reports whether a card at work runs below a part of its highest clock, and no power cap explains it.
func clockBelow(c GPU, part float64) bool {
	return c.Utilization >= loaded && c.SMMHz > 0 && float64(c.SMMHz) < part*float64(c.MaxSMMHz) && !slices.Contains(c.Throttle, "power cap")
}

// atEase reports whether all is so well that a level may be taken back.
func atEase(now time.Time, hw Hardware, rate Rate) bool {
	uneasy := slices.ContainsFunc(hw.GPUs, func(c GPU) bool {
		return hot(c) || c.TemperatureC >= coolC || c.SlowdownC > 0 && c.TemperatureC >= c.SlowdownC-belowC || clockBelow(c, fairClock)
	})
	slow := now.Sub(rate.At) < freshRate && rate.Recent < fairRate*rate.Baseline && !hw.Power.OnBattery
	return !uneasy && !slow
}

// advise is the advice of a level that was reached for a reason.
func advise(level int, why string) Advice {
	effect := []string{
		"ingestion runs normally",
		"ingestion goes slowly",
		"ingestion pauses",
		"ingestion pauses, and a smaller language model is offered",
	}[level]
	return Advice{Level: level, Pause: level >= 2, Offer: level >= 3, Reason: why + ": " + effect + "."}
}

func batchScale(level int) float64 {
	if level > 0 {
		return 0.5
	}
	return 1
}
