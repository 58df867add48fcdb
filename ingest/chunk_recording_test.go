package ingest

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/acervo-kb/acervo/ingest/parse"
	"github.com/acervo-kb/acervo/retrieval"
)

// TestRecordingGolden cuts the talk of testdata/chunks/talk.json: people who
// pause and one who does not, two languages, and a breath that is too long.
func TestRecordingGolden(t *testing.T) {
	raw, err := os.ReadFile("testdata/chunks/talk.json")
	if err != nil {
		t.Fatal(err)
	}
	var talk parse.Transcript
	if err := json.Unmarshal(raw, &talk); err != nil {
		t.Fatal(err)
	}
	c := parse.FromTranscript(talk)
	all := chunks("d", c, smallChunks, roughly)
	if err := checkTimed(c, all); err != nil {
		t.Error(err)
	}
	var got strings.Builder
	for _, x := range all {
		fmt.Fprintf(&got, "=== %s: %d tokens, %s, %s %.3f–%.3f, %+v\n%s\n", x.ID, x.Tokens, x.Language, x.Location.Kind, x.Location.StartS, x.Location.EndS, x.Location.Recognition, x.Text)
	}
	if *update {
		if err := os.WriteFile("testdata/chunks/talk.golden", []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/chunks/talk.golden")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("(-want +got; -update accepts it)\n%s", diff)
	}
}

// checkTimed reports what is wrong with the chunks of a recording whose
// segments are all different: each must have the times of just its segments.
func checkTimed(c parse.Content, all []retrieval.Chunk) error {
	at, covered := -1, 0
	for _, x := range all {
		start := strings.Index(c.Text[at+1:], x.Text) + at + 1
		if start <= at {
			return fmt.Errorf("%s is not in the text, behind the one before", x.ID)
		}
		if start > covered && strings.TrimSpace(c.Text[covered:start]) != "" {
			return fmt.Errorf("in no chunk: %q", c.Text[covered:start])
		}
		at, covered = start, max(covered, start+len(x.Text))
		from, to, least, most := 0.0, 0.0, 1.0, 0.0
		for _, b := range c.Blocks {
			if b.Start < start+len(x.Text) && b.End > start {
				if to == 0 {
					from = b.StartS
				}
				to = max(to, b.EndS)
				least, most = min(least, b.Confidence), max(most, b.Confidence)
			}
		}
		heard := x.Location.Recognition
		if heard.Confidence < least-0.001 || heard.Confidence > most+0.001 {
			return fmt.Errorf("%s has a confidence of %g, its segments of %g to %g", x.ID, heard.Confidence, least, most)
		}
		if want := (retrieval.Location{Kind: "time", StartS: from, EndS: to, Recognition: heard}); !cmp.Equal(x.Location, want) {
			return fmt.Errorf("%s is at %+v, want %+v", x.ID, x.Location, want)
		}
		if x.Tokens > smallChunks.Size {
			return fmt.Errorf("%s has %d tokens", x.ID, x.Tokens)
		}
	}
	if rest := strings.TrimSpace(c.Text[covered:]); rest != "" {
		return fmt.Errorf("in no chunk: %q", rest)
	}
	return nil
}

func TestRecordingChunksHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		talk := parse.Transcript{Engine: "fake"}
		now := 0.0
		for i := range rapid.IntRange(1, 120).Draw(t, "segments") {
			now += rapid.SampledFrom([]float64{0, 0.2, 0.5, 1.6, 30}).Draw(t, "pause")
			n := rapid.SampledFrom([]int{1, 4, 12, 30, 200}).Draw(t, "words")
			text := fmt.Sprintf("s%d ", i) + strings.Repeat(rapid.SampledFrom([]string{"palabra ", "Sí. ", "no, "}).Draw(t, "word"), n)
			talk.Segments = append(talk.Segments, parse.Segment{StartS: now, EndS: now + float64(n)/2, Confidence: rapid.Float64Range(0, 1).Draw(t, "confidence"), Text: text + fmt.Sprintf("e%d", i) + rapid.SampledFrom([]string{".", ",", ""}).Draw(t, "end")})
			now += float64(n) / 2
		}
		c := parse.FromTranscript(talk)
		all := chunks("d", c, smallChunks, roughly)
		// What repeats within a long segment stands in several places, so only short ones are looked up.
		if !strings.Contains(c.Text, strings.Repeat("palabra ", 20)) && !strings.Contains(c.Text, strings.Repeat("Sí. ", 20)) && !strings.Contains(c.Text, strings.Repeat("no, ", 20)) {
			if err := checkTimed(c, all); err != nil {
				t.Fatal(err)
			}
		}
		for i, x := range all {
			if x.Location.Kind != "time" || x.Location.EndS <= x.Location.StartS || i > 0 && x.Location.StartS < all[i-1].Location.StartS {
				t.Fatalf("chunk %d is at %+v", i, x.Location)
			}
		}
	})
}

// TestCutsAtPauses: where a recording is cut, people breathe.
func TestCutsAtPauses(t *testing.T) {
	var talk parse.Transcript
	for i := range 200 {
		gap := 0.2
		if i%8 == 0 {
			gap = 3
		}
		start := float64(i)*5 + gap
		talk.Segments = append(talk.Segments, parse.Segment{StartS: start, EndS: float64(i)*5 + 5, Text: fmt.Sprintf("Esto es lo que se dijo en el minuto %d de la reunión.", i)})
	}
	all := chunks("d", parse.FromTranscript(talk), smallChunks, roughly)
	if len(all) < 5 {
		t.Fatalf("%d chunks", len(all))
	}
	for i, x := range all[1:] {
		before := all[i].Location
		if overlap := before.EndS - x.Location.StartS; overlap < 5 || overlap > 60 {
			t.Errorf("chunk %d repeats %.1f s of the one before", i+1, overlap)
		}
		if int(before.EndS/5)%8 != 0 {
			t.Errorf("chunk %d ends at %.1f s, where nobody pauses", i, before.EndS)
		}
	}
}

// TestCutsAtSilences: what is said long after is another passage, however short both are.
func TestCutsAtSilences(t *testing.T) {
	var talk parse.Transcript
	for i, start := range []float64{2, 8, 28, 37.9, 60} {
		talk.Segments = append(talk.Segments, parse.Segment{StartS: start, EndS: start + 3, Text: fmt.Sprintf("Frase número %d.", i)})
	}
	var got []string
	for _, x := range chunks("d", parse.FromTranscript(talk), smallChunks, roughly) {
		got = append(got, fmt.Sprintf("%g–%g", x.Location.StartS, x.Location.EndS))
	}
	if want := []string{"2–11", "28–40.9", "60–63"}; !cmp.Equal(got, want) {
		t.Errorf("chunks at %v, want %v", got, want)
	}
}
