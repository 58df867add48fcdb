package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/acervo-kb/acervo/ingest"
	"github.com/acervo-kb/acervo/ingest/parse"
)

func TestState(t *testing.T) {
	for _, test := range []struct {
		stage    string
		progress ingest.Progress
		want     string
	}{
		{"reading", ingest.Progress{}, "reading"},
		{"ocr", ingest.Progress{Done: 1, Total: 40, Unit: "page"}, "OCR 1/40"},
		{"ocr", ingest.Progress{Done: 12, Total: 40, Unit: "page", LeftS: 121}, "OCR 12/40, about 3 min left"},
		{"ocr", ingest.Progress{Done: 38, Total: 40, Unit: "page", LeftS: 12}, "OCR 38/40, less than 1 min left"},
		{"ocr", ingest.Progress{Done: 12, Total: 40, Unit: "page", Waits: parse.ForRest}, "OCR 12/40, waits while the machine rests"},
		{"speech", ingest.Progress{Done: 510, Total: 2520, Unit: "s", LeftS: 7400}, "speech 08:30/42:00, about 2 h 4 min left"},
		{"speech", ingest.Progress{Done: 510, Total: 2520, Unit: "s", Waits: parse.ForTurn}, "speech 08:30/42:00, waits for its turn"},
	} {
		d := ingest.Document{Status: ingest.Working, Stage: test.stage, Progress: &test.progress}
		if got := state(d); got != test.want {
			t.Errorf("%s %+v is shown as %q, want %q", test.stage, test.progress, got, test.want)
		}
	}
}

func TestShowDetails(t *testing.T) {
	docs := []ingest.Document{{
		ID: "c1", Title: "contrato", Paths: []string{"legal/contrato.pdf"}, Status: ingest.Partial, MIME: "application/pdf", Pages: 5, Chunks: 3, Embedded: 2,
		Language: "es", Error: &ingest.Problem{Message: "Page 4 is torn."}, Warnings: []string{"a word was lost"},
		ReadBy: []ingest.Reading{
			{Engine: "rapidocr 3", Confidence: 0.951, Pages: []ingest.PageReading{{Page: 1, Confidence: 0.99}, {Page: 2, Confidence: 0.61}, {Page: 3, Confidence: 0.99}}},
			{Engine: "tesseract 5", Confidence: 0.5, Pages: []ingest.PageReading{{Page: 5, Confidence: 0.5}}},
		},
	}, {ID: "t1", Title: "charla", Paths: []string{"charla.mp3"}, Status: ingest.Ready, MIME: "audio/mpeg", DurationS: 90, ReadBy: []ingest.Reading{{Engine: "w", Confidence: 0.9}}}}
	const want = `contrato
  path      legal/contrato.pdf
  id        c1
  state     partial
  kind      application/pdf, 5 pages, es
  passages  3, 2 of them with vectors
  read by   page 1-3: rapidocr 3, 95 % sure, least of page 2 (61 %)
  read by   page 5: tesseract 5, 50 % sure
  problem   Page 4 is torn.
  note      a word was lost

charla
  path      charla.mp3
  id        t1
  state     ready
  kind      audio/mpeg, 01:30
  passages  0, 0 of them with vectors
  read by   w, 90 % sure
`
	var out strings.Builder
	if err := showDetails(&out, docs); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
