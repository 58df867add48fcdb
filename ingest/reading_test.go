package ingest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/acervo-kb/acervo/ingest/parse"
)

func TestReadings(t *testing.T) {
	page := func(engine string, lines ...parse.ScannedLine) parse.ScannedPage {
		p := parse.ScannedPage{Engine: engine, Lines: lines}
		if len(lines) > 0 {
			p.Confidence = lines[0].Confidence
		}
		return p
	}
	got := readingsOfPages(map[int]parse.ScannedPage{
		9: page("A 1"),
		2: page("B 2", parse.ScannedLine{Text: "dos", Confidence: 0.5}),
		4: page("A 1", parse.ScannedLine{Text: "cuatro", Confidence: 0.75}, parse.ScannedLine{Text: "no", Confidence: 0.25}),
		3: page("A 1", parse.ScannedLine{Text: "si", Confidence: 0.75}),
	})
	want := []Reading{
		{Engine: "B 2", Confidence: 0.5, Pages: []PageReading{{2, 0.5}}},
		{Engine: "A 1", Confidence: (6*0.75 + 2*0.25 + 2*0.75) / 10, Pages: []PageReading{{3, 0.75}, {4, 0.75}, {9, 0}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	heard := readingOfRecording(parse.Transcript{Engine: "W", Segments: []parse.Segment{{Text: "ab", Confidence: 1}, {Text: "abcdef", Confidence: 0.5}}})
	if diff := cmp.Diff([]Reading{{Engine: "W", Confidence: 0.625}}, heard); diff != "" {
		t.Errorf("recording (-want +got):\n%s", diff)
	}
	if got := readingOfRecording(parse.Transcript{Engine: "W"}); got != nil {
		t.Errorf("a silent recording was read by %v", got)
	}
}
