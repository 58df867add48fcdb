package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A citation of a scan marks the lines of the sentence, or the row of the table, not the page that is one passage. Where
// these are was looked up on the page.
func TestScanIsMarkedByLine(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(sharedData(t), "files", "contrato-escaneado.pdf"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("tesseract"); err != nil {
		t.Skip("needs tesseract")
	}
	l := serveLibrary(t, emptyPlace(t), slices.Concat(noEngine, []string{"ocr.engine=tesseract"})...)
	l.write(t, "contrato.pdf", string(raw))
	l.settleFor(t, 1, false, 5*time.Minute)
	for _, c := range []struct {
		question, answer string
		top, bottom      float64
		lines            int
	}{
		{"¿Cuál es la renta mensual?", "1.250,75 €", 0.59, 0.67, 3},
		{"¿Cuánto es la fianza legal?", "2.501,50 €", 0.68, 0.715, 1},
	} {
		a := l.ask(t, c.question)
		if len(a.Citations) != 1 || !strings.Contains(a.Answer, c.answer) {
			t.Fatalf("%s: %+v", c.question, a)
		}
		at := a.Citations[0].Location
		if at.Page != 1 || len(at.Boxes) == 0 || len(at.Boxes) > c.lines {
			t.Errorf("%s: it marks %+v", c.question, at)
		}
		for _, box := range at.Boxes {
			if box[1] < c.top || box[3] > c.bottom {
				t.Errorf("%s: it marks %v", c.question, box)
			}
		}
	}
}
