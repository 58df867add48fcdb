package parse

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A sample is a row of the manifest of sample documents.
type sample struct {
	File          string   `json:"file"`
	Format        string   `json:"format"`
	Expect        string   `json:"expect"`
	Code          string   `json:"code"`
	AlsoTolerable []string `json:"also_tolerable"`
	Needs         []string `json:"needs"`
	MustContain   []string `json:"must_contain"`
	MustNot       []string `json:"must_not_contain"`
	Places        []struct {
		Text string `json:"text"`
		Page int    `json:"page"`
	} `json:"places"`
}

// TestPDFSamples reads every PDF document of a collection that is not part of
// the repository, as its manifest says.
func TestPDFSamples(t *testing.T) {
	data := os.Getenv("ACERVO_TEST_DATA")
	if data == "" {
		t.Skip("ACERVO_TEST_DATA does not name a directory with the sample documents")
	}
	manifest, err := os.Open(filepath.Join(data, "files", "manifest.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer manifest.Close()
	read := 0
	for lines := bufio.NewScanner(manifest); lines.Scan(); {
		var row sample
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		if row.Format != "pdf" {
			continue
		}
		read++
		t.Run(row.File, func(t *testing.T) {
			bytes, err := os.ReadFile(filepath.Join(data, "files", row.File))
			if err != nil {
				t.Fatal(err)
			}
			content, err := testPDF(t).Parse(t.Context(), File{Name: row.File, Data: bytes}, nil)
			row.check(t, content, err)
		})
	}
	if read == 0 {
		t.Error("the manifest has no PDF documents")
	}
}

func (row sample) check(t *testing.T, content Content, err error) {
	var refused *Error
	if err != nil && !errors.As(err, &refused) {
		t.Fatal(err)
	}
	status, code := "ready", ""
	switch {
	case refused != nil:
		status, code = "failed", string(refused.Code)
	case len(content.NeedsOCR) > 0:
		status, code = "partial", "needs_ocr"
		if content.Text == "" {
			status = "failed"
		}
	}
	if slices.Contains(row.Needs, "ocr") {
		if code != "needs_ocr" {
			t.Errorf("%s %s without OCR: %q", status, code, content.Text)
		}
		return
	}
	if status == row.Expect && (row.Code == "" || code == row.Code) {
		if status != "failed" {
			row.checkText(t, content)
		}
		return
	}
	if !slices.Contains(row.AlsoTolerable, code) && !slices.Contains(row.AlsoTolerable, status) {
		t.Errorf("%s %s (%v), want %s %s", status, code, err, row.Expect, row.Code)
	}
}

func (row sample) checkText(t *testing.T, content Content) {
	checkContent(t, content)
	checkPages(t, content)
	text := strings.Join(strings.Fields(content.Text), " ")
	for _, want := range row.MustContain {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q", want)
		}
	}
	for _, no := range row.MustNot {
		if strings.Contains(text, no) {
			t.Errorf("has %q", no)
		}
	}
	for _, place := range row.Places {
		if page := pageText(content, place.Page); !strings.Contains(page, place.Text) {
			t.Errorf("page %d lacks %q", place.Page, place.Text)
		}
	}
	if t.Failed() {
		t.Logf("text: %.2000s", content.Text)
	}
}

// pageText is the text of a page with runs of white space as one space.
func pageText(content Content, page int) string {
	var text []string
	for _, b := range content.Blocks {
		if b.Page == page {
			text = append(text, content.Text[b.Start:b.End])
		}
	}
	return strings.Join(strings.Fields(strings.Join(text, " ")), " ")
}

// checkPages checks what PDF content promises beside: pages, and boxes within them.
func checkPages(t *testing.T, content Content) {
	t.Helper()
	for _, b := range content.Blocks {
		if b.Page < 1 || b.Page > content.Pages {
			t.Fatalf("a block on page %d of %d", b.Page, content.Pages)
		}
		for _, l := range b.Lines {
			for _, v := range l.Box {
				if !(v >= 0 && v <= 1) {
					t.Fatalf("%q has the box %v", content.Text[l.Start:l.End], l.Box)
				}
			}
		}
	}
}
