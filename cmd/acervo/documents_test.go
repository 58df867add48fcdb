package main

import (
	"testing"

	"github.com/acervo-kb/acervo/ingest"
	"github.com/acervo-kb/acervo/ingest/parse"
)

func TestState(t *testing.T) {
	for _, test := range []struct {
		stage    string
		progress ingest.Progress
		want     string
	}{
		{"reading", ingest.Progress{}, "working"},
		{"ocr", ingest.Progress{Done: 1, Total: 40, Unit: "page"}, "OCR 1/40"},
		{"ocr", ingest.Progress{Done: 12, Total: 40, Unit: "page", LeftS: 121}, "OCR 12/40, about 3 min left"},
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
