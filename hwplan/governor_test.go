package hwplan

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A sample is a state that lasts for so long.
type sample struct {
	lasts time.Duration
	set   func(*Hardware)
	rate  float64 // of a baseline of 16; 0: nobody asks
}

func celsius(c int) func(*Hardware) {
	return func(h *Hardware) { h.GPUs[0].TemperatureC = c }
}

func clock(mhz, utilization int, throttle ...string) func(*Hardware) {
	return func(h *Hardware) {
		h.GPUs[0].SMMHz, h.GPUs[0].Utilization, h.GPUs[0].Throttle = mhz, utilization, throttle
	}
}

func onBattery(h *Hardware) { h.Power.OnBattery = true }

func well(*Hardware) {}

// levels feeds a governor every two seconds and writes down each change: second, level.
func levels(samples []sample) (changes string, reasons []string) {
	var g Governor
	start := time.Unix(0, 0)
	now, last := start, 0
	var rate Rate
	var out []string
	for _, s := range samples {
		for end := now.Add(s.lasts); now.Before(end); now = now.Add(2 * time.Second) {
			hw := Hardware{GPUs: []GPU{{TemperatureC: 60, SlowdownC: 95, SMMHz: 1740, MaxSMMHz: 2100, Utilization: 90}}}
			s.set(&hw)
			if s.rate > 0 {
				rate = Rate{Recent: s.rate, Baseline: 16, At: now}
			}
			if a := g.Observe(now, hw, rate); a.Level != last {
				last = a.Level
				out = append(out, fmt.Sprintf("%.0fs:%d", now.Sub(start).Seconds(), a.Level))
				reasons = append(reasons, a.Reason)
			}
		}
	}
	return strings.Join(out, " "), reasons
}

func TestGovernor(t *testing.T) {
	for name, tc := range map[string]struct {
		samples []sample
		want    string
	}{
		"all is well":              {[]sample{{time.Hour, well, 16}}, ""},
		"85 degrees are not above": {[]sample{{time.Hour, celsius(85), 16}}, ""},
		"a short heat":             {[]sample{{18 * time.Second, celsius(90), 16}, {time.Minute, well, 16}, {18 * time.Second, celsius(90), 16}}, ""},
		"heat climbs, and ease takes it back by the minute": {
			[]sample{{10 * time.Minute, celsius(88), 16}, {5 * time.Minute, celsius(77), 16}},
			"20s:1 80s:2 380s:3 660s:2 720s:1 780s:0",
		},
		"between hot and cool nothing changes": {
			[]sample{{30 * time.Second, celsius(88), 16}, {time.Hour, celsius(80), 16}, {2 * time.Minute, celsius(77), 16}},
			"20s:1 3690s:0",
		},
		"a moment of heat interrupts the ease": {
			[]sample{
				{30 * time.Second, celsius(88), 16}, {50 * time.Second, celsius(70), 16}, {2 * time.Second, celsius(86), 16}, {90 * time.Second, celsius(70), 16},
			},
			"20s:1 142s:0",
		},
		"heat must last anew for the next level": {
			[]sample{{30 * time.Second, celsius(88), 16}, {10 * time.Second, celsius(80), 16}, {2 * time.Minute, celsius(88), 16}},
			"20s:1 120s:2",
		},
		"near the card's own threshold": {
			[]sample{{time.Minute, func(h *Hardware) { h.GPUs[0].SlowdownC, h.GPUs[0].TemperatureC = 83, 80 }, 16}}, "20s:1",
		},
		"the card lowers its clocks for heat": {[]sample{{time.Minute, clock(1700, 90, "thermal"), 16}}, "20s:1"},
		"a power cap is normal":               {[]sample{{time.Hour, clock(900, 90, "power cap"), 16}}, ""},
		"a low clock under load":              {[]sample{{90 * time.Second, clock(1100, 90), 16}}, "60s:1"},
		"a low clock at rest":                 {[]sample{{time.Hour, clock(210, 0, "idle"), 16}}, ""},
		"a clock that is not known":           {[]sample{{time.Hour, clock(0, 90), 16}}, ""},
		"slow answers":                        {[]sample{{150 * time.Second, well, 11}}, "120s:1"},
		"answers that are not that slow":      {[]sample{{time.Hour, well, 11.5}}, ""},
		"slow answers end": {
			[]sample{{150 * time.Second, well, 11}, {10 * time.Minute, well, 12}, {61 * time.Second, well, 14}}, "120s:1 810s:0",
		},
		"while nobody asks, slowness is forgotten": {[]sample{{150 * time.Second, well, 11}, {10 * time.Minute, well, 0}}, "120s:1 180s:2 268s:1 328s:0"},
		"battery": {[]sample{{10 * time.Minute, onBattery, 8}, {2 * time.Minute, well, 16}}, "0s:1 658s:0"},
		"a loose plug is one change": {
			[]sample{{time.Minute, onBattery, 16}, {30 * time.Second, well, 16}, {time.Minute, onBattery, 16}, {30 * time.Second, well, 16}}, "0s:1",
		},
		"heat on battery": {
			[]sample{{2 * time.Minute, func(h *Hardware) { onBattery(h); celsius(90)(h) }, 16}, {3 * time.Minute, onBattery, 16}}, "0s:1 80s:2 180s:1",
		},
		"no card": {[]sample{{time.Hour, func(h *Hardware) { h.GPUs = nil }, 16}}, ""},
	} {
		if got, reasons := levels(tc.samples); got != tc.want {
			t.Errorf("%s: %q, want %q\n%s", name, got, tc.want, strings.Join(reasons, "\n"))
		}
	}
}

func TestGovernorReasons(t *testing.T) {
	for _, tc := range []struct {
		samples []sample
		want    []string
	}{
		{[]sample{{90 * time.Second, celsius(88), 16}, {3 * time.Minute, celsius(70), 16}}, []string{
			"The graphics card is hot, at 88 °C for 20 seconds: ingestion goes slowly.",
			"The graphics card is hot, at 88 °C for 80 seconds: ingestion pauses.",
			"The machine is cool and fast enough again: ingestion goes slowly.",
			"The machine is cool and fast enough again: ingestion runs normally.",
		}},
		{[]sample{{time.Minute, onBattery, 16}, {2 * time.Minute, well, 16}}, []string{
			"The computer runs on battery: ingestion goes slowly.",
			"The computer is on mains again: ingestion runs normally.",
		}},
		{[]sample{{130 * time.Second, well, 8}}, []string{"Answers come at 8.0 tokens a second instead of 16.0: ingestion goes slowly."}},
		{[]sample{{90 * time.Second, clock(700, 95), 16}}, []string{
			"The graphics card has run far below its highest clock for 60 seconds: ingestion goes slowly.",
		}},
	} {
		if _, got := levels(tc.samples); strings.Join(got, "\n") != strings.Join(tc.want, "\n") {
			t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
		}
	}
}

func TestGovernorAdvice(t *testing.T) {
	var g Governor
	now := time.Unix(0, 0)
	if a := g.Observe(now, Hardware{}, Rate{}); a != (Advice{BatchScale: 1}) {
		t.Errorf("at first: %+v", a)
	}
	hot := Hardware{GPUs: []GPU{{TemperatureC: 95}}}
	var last Advice
	for range 400 {
		now = now.Add(time.Second)
		last = g.Observe(now, hot, Rate{})
	}
	reason := "The graphics card is hot, at 95 °C for 380 seconds: ingestion pauses, and a smaller language model is offered."
	if last != (Advice{Level: 3, BatchScale: 0.5, Pause: true, Offer: true, Reason: reason}) {
		t.Errorf("at last: %+v", last)
	}
	// The lid was closed for the night: heat before and after it is not heat all night.
	g = Governor{}
	g.Observe(now, hot, Rate{})
	if a := g.Observe(now.Add(8*time.Hour), hot, Rate{}); a.Level != 0 {
		t.Errorf("after the night: %+v", a)
	}
}
