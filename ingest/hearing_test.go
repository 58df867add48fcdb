package ingest

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/acervo-kb/acervo/ingest/parse"
)

func TestHearingWith(t *testing.T) {
	at := func(s float64, text string) parse.Segment {
		return parse.Segment{StartS: s, EndS: s + 1, Text: text}
	}
	inf := math.Inf(1)
	for name, c := range map[string]struct {
		was      hearing
		part     parse.Transcript
		from, to float64
		want     hearing
		missing  [][2]float64 // then
	}{
		"the first window": {
			hearing{}, parse.Transcript{DurationS: 30, Language: "es", Segments: []parse.Segment{at(1, "a"), at(9.9, "b")}, Unread: [][2]float64{{4, 6}}}, 0, 10,
			hearing{Transcript: parse.Transcript{DurationS: 30, Language: "es", Segments: []parse.Segment{at(1, "a"), at(9.9, "b")}, Unread: [][2]float64{{4, 6}}}, HeardS: 10},
			[][2]float64{{10, inf}},
		},
		"the end, of a length that was guessed": {
			hearing{Transcript: parse.Transcript{DurationS: 32, Segments: []parse.Segment{at(1, "a")}}, HeardS: 5},
			parse.Transcript{DurationS: 9, Segments: []parse.Segment{at(6, "b")}}, 5, inf,
			hearing{Transcript: parse.Transcript{DurationS: 9, Segments: []parse.Segment{at(1, "a"), at(6, "b")}}, HeardS: 9},
			[][2]float64{{9, inf}},
		},
		"a hole that is filled halfway": {
			hearing{Transcript: parse.Transcript{DurationS: 30, Segments: []parse.Segment{at(1, "a"), at(12, "x"), at(21, "c")}, Unread: [][2]float64{{10, 20}}}, HeardS: 30, Whole: true},
			parse.Transcript{DurationS: 30, Segments: []parse.Segment{at(11, "b"), at(16, "later")}}, 10, 15,
			hearing{Transcript: parse.Transcript{DurationS: 30, Segments: []parse.Segment{at(1, "a"), at(11, "b"), at(21, "c")}, Unread: [][2]float64{{15, 20}}}, HeardS: 30, Whole: true},
			[][2]float64{{15, 20}},
		},
		"an end that stays unread": {
			hearing{Transcript: parse.Transcript{DurationS: 30, Unread: [][2]float64{{3, 5}, {20, 30}}}, HeardS: 30, Whole: true},
			parse.Transcript{DurationS: 30, Unread: [][2]float64{{20, 25}, {25, 30}}}, 20, inf,
			hearing{Transcript: parse.Transcript{DurationS: 30, Unread: [][2]float64{{3, 5}, {20, 30}}}, HeardS: 30, Whole: true},
			[][2]float64{{3, 5}, {20, inf}},
		},
	} {
		got := c.was.with(c.part, c.from, c.to)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(c.missing, got.missing()); diff != "" {
			t.Errorf("%s, missing (-want +got):\n%s", name, diff)
		}
	}
}

// TestStraddling: what is said across the edge of a hole that is heard again is not there twice, and nothing else is lost.
func TestStraddling(t *testing.T) {
	h := hearing{Whole: true, Transcript: parse.Transcript{
		DurationS: 60, Unread: [][2]float64{{14, 16}, {30, 40}}, Dropped: [][2]float64{{2, 3}, {13, 15}},
		Segments: []parse.Segment{{StartS: 5, EndS: 10, Text: "before"}, {StartS: 10, EndS: 20, Text: "across"}, {StartS: 41, EndS: 44, Text: "the end of"}, {StartS: 44, EndS: 46, Text: "after"}},
	}}
	parts := h.missing()
	if diff := cmp.Diff([][2]float64{{10, 20}, {30, 40}}, parts); diff != "" {
		t.Fatalf("parts (-want +got):\n%s", diff)
	}
	h = h.with(parse.Transcript{DurationS: 60, Segments: []parse.Segment{{StartS: 10, EndS: 14, Text: "acr"}, {StartS: 14, EndS: 20, Text: "oss"}}}, 10, 20)
	h = h.with(parse.Transcript{DurationS: 60, Segments: []parse.Segment{{StartS: 39, EndS: 44, Text: "up to the end of"}}}, 30, 40)
	if got, want := parse.FromTranscript(h.Transcript).Text, "before acr oss\n\nup to the end of after"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if diff := cmp.Diff([][2]float64{{2, 3}}, h.Dropped); diff != "" {
		t.Errorf("dropped (-want +got):\n%s", diff)
	}
}

// TestManyHoles: of a recording that is broken all over no more than a few parts are heard again, which hold all the holes.
func TestManyHoles(t *testing.T) {
	h := hearing{Transcript: parse.Transcript{DurationS: 10_000}, Whole: true}
	for i := range 3000 {
		at := float64(i) * 3.25
		h.Unread = append(h.Unread, [2]float64{at, at + 1})
	}
	parts := h.missing()
	if len(parts) > maxParts || len(h.Unread) != 3000 {
		t.Fatalf("%d parts", len(parts))
	}
	for _, u := range h.Unread {
		if !slices.ContainsFunc(parts, func(p [2]float64) bool { return p[0] <= u[0] && u[1] <= p[1] }) {
			t.Fatalf("%v is in none of %v", u, parts)
		}
	}
}

// TestPutAside: what is put aside is no more than what was to be heard: what is known of the rest stays.
func TestPutAside(t *testing.T) {
	inf := math.Inf(1)
	for name, c := range map[string]struct {
		was          hearing
		left, unread [][2]float64
	}{
		"the first hearing": {
			hearing{Transcript: parse.Transcript{DurationS: 3600}, HeardS: 600, Begun: maxAttempts, BegunS: 600},
			[][2]float64{{1200, inf}}, [][2]float64{{600, 1200}},
		},
		"two holes that are heard again": {
			hearing{Transcript: parse.Transcript{DurationS: 3600, Unread: [][2]float64{{100, 110}, {2000, 2010}}}, HeardS: 3600, Whole: true, Begun: maxAttempts, BegunS: 100},
			[][2]float64{{2000, 2010}}, [][2]float64{{100, 110}, {2000, 2010}},
		},
		"not often enough": {
			hearing{Transcript: parse.Transcript{DurationS: 3600}, HeardS: 600, Begun: maxAttempts - 1, BegunS: 600},
			[][2]float64{{600, inf}}, nil,
		},
	} {
		if diff := cmp.Diff(c.left, c.was.putAside(c.was.missing())); diff != "" {
			t.Errorf("%s, to be heard (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(c.unread, c.was.Unread); diff != "" {
			t.Errorf("%s, unread (-want +got):\n%s", name, diff)
		}
	}
}
