package parse

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestFromTranscript(t *testing.T) {
	c := FromTranscript(Transcript{
		DurationS: 30, Language: "es", Unread: [][2]float64{{20, 30}},
		Segments: []Segment{
			{StartS: 4.2, EndS: 6, Text: " A las  seis.\u0000\n"},
			{StartS: 1, EndS: 4, Text: "El tren llego\u0301 a Zafra."}, // not in order, not NFC
			{StartS: 6.1, EndS: 6.2, Text: " \u200b "},
			{StartS: 7.6, EndS: 7.6, Text: "Fin."},
		},
	})
	want := Content{
		Text: "El tren llegó a Zafra. A las seis.\n\nFin.", DurationS: 30, Language: "es", Unread: [][2]float64{{20, 30}},
		Blocks: []Block{
			{Start: 0, End: 23, Kind: Paragraph, StartS: 1, EndS: 4},
			{Start: 24, End: 35, Kind: Paragraph, StartS: 4.2, EndS: 6},
			{Start: 37, End: 41, Kind: Paragraph, StartS: 7.6, EndS: 7.601},
		},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if none := FromTranscript(Transcript{DurationS: 5}); none.Text != "" || none.Blocks != nil || none.DurationS != 5 {
		t.Errorf("silence is %+v", none)
	}
}

// TestLongSpeech: who never pauses gets paragraphs too, at a sentence's end if there is one.
func TestLongSpeech(t *testing.T) {
	for end, longest := range map[string]int{".": maxParagraph + 100, "": 2*maxParagraph + 100} {
		var tr Transcript
		for i := range 100 {
			tr.Segments = append(tr.Segments, Segment{StartS: float64(i), EndS: float64(i + 1), Text: strings.Repeat("palabra ", 9) + fmt.Sprint(i) + end})
		}
		paragraphs := strings.Split(FromTranscript(tr).Text, "\n\n")
		if len(paragraphs) < 3 {
			t.Errorf("%q: %d paragraphs", end, len(paragraphs))
		}
		for _, p := range paragraphs {
			if len(p) > longest {
				t.Errorf("%q: a paragraph of %d bytes", end, len(p))
			}
		}
	}
}

func TestTranscriptsHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tr Transcript
		for range rapid.IntRange(0, 50).Draw(t, "segments") {
			start := rapid.Float64Range(-1, 100).Draw(t, "start")
			tr.Segments = append(tr.Segments, Segment{
				StartS: start, EndS: start + rapid.Float64Range(-1, 40).Draw(t, "length"),
				Text: rapid.StringN(0, 30, -1).Draw(t, "text"),
			})
		}
		c := FromTranscript(tr)
		end, started := 0, 0.0
		for i, b := range c.Blocks {
			if strings.TrimSpace(c.Text[end:b.Start]) != "" || b.End <= b.Start || b.StartS < started || b.EndS <= b.StartS || b.EndS > c.DurationS {
				t.Fatalf("block %d is %+v", i, b)
			}
			end, started = b.End, b.StartS
		}
		if strings.TrimSpace(c.Text[end:]) != "" || math.IsNaN(c.DurationS) {
			t.Fatalf("text behind the last block, or no duration: %+v", c)
		}
	})
}
