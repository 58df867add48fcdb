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

// A citation of a scan marks the lines of the sentence, not the page that is one passage. Where these are was looked up
// on the page: the first page of the contract has the rent 60 to 66 % down.
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
	a := l.ask(t, "¿Cuál es la renta mensual?")
	if len(a.Citations) != 1 || !strings.Contains(a.Answer, "1.250,75") {
		t.Fatalf("%+v", a)
	}
	at := a.Citations[0].Location
	if at.Page != 1 || len(at.Boxes) == 0 || len(at.Boxes) > 3 {
		t.Errorf("it marks %+v", at)
	}
	for _, box := range at.Boxes {
		if box[1] < 0.59 || box[3] > 0.67 {
			t.Errorf("it marks %v", box)
		}
	}
}
