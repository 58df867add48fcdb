package sidecar

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// The files of testdata are answers in the form of facts and of Surya's own code: no model wrote them, none was at hand.
func TestSuryaGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/surya-*.html")
	if err != nil || len(files) == 0 {
		t.Fatalf("no answers in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			answer, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(parseSurya(string(answer)).page(0.9), "", "\t")
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, ".html") + ".json"
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || string(want) != string(got)+"\n" {
				t.Errorf("%s differs (%v): see with -update and git diff", golden, err)
			}
		})
	}
}

// A page of which nothing but the number was read keeps it.
func TestSuryaMarginsAlone(t *testing.T) {
	page := parseSurya(`<div data-label="Page-Footer" data-bbox="400 900 600 950">vii</div>`).page(0.9)
	if len(page.Lines) != 1 || page.Lines[0].Text != "vii" {
		t.Errorf("page %+v", page)
	}
}

// A megabyte of open tags is read at once: neither the depth nor the number of blocks hurts.
func TestSuryaDepth(t *testing.T) {
	for _, piece := range []string{`<div>`, `<div data-label="Text">`, `<ul><li>`, `<table><tr><td>`, `</div>`, `<sup>`, `<pre>`, "\n"} {
		start := time.Now()
		parseSurya(strings.Repeat(piece, maxAnswer/len(piece)) + "fin").page(1)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: %s", piece, took)
		}
	}
}

func FuzzParseSurya(f *testing.F) {
	for _, name := range []string{"surya-contrato.html", "surya-hostile.html"} {
		answer, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(answer))
	}
	f.Add(goodPage)
	f.Fuzz(func(t *testing.T, answer string) {
		for _, line := range parseSurya(answer).page(0.5).Lines {
			b := line.Box
			if !(0 <= b[0] && b[0] < b[2] && b[2] <= 1 && 0 <= b[1] && b[1] < b[3] && b[3] <= 1) {
				t.Errorf("box %v", b)
			}
			if line.Text == "" || !utf8.ValidString(line.Text) || strings.Contains(line.Text, "\n") {
				t.Errorf("text %q", line.Text)
			}
			if line.Paragraph < 1 || line.Heading < 0 || line.Heading > 6 {
				t.Errorf("line %+v", line)
			}
		}
	})
}

func TestLoops(t *testing.T) {
	page := goodPage + "\n" + goodPage
	rows := "<table>" + strings.Repeat("<tr><td></td><td></td><td></td></tr>", 30)
	for _, tt := range []struct {
		name, text     string
		ended, running bool
	}{
		{"a page", page, false, false},
		{"a letter", page + strings.Repeat("a", 199), false, false},
		{"a letter, long", page + strings.Repeat("a", 201), true, false},
		{"a letter for ever", page + strings.Repeat("a", 3100), true, true},
		{"a phrase", page + strings.Repeat("y la arrendataria ", 12), true, false},
		{"a phrase for ever", page + strings.Repeat("y la arrendataria ", 200), true, true},
		{"an empty form, in hand", page + rows, true, false},
		{"an empty form", page + rows + "</table></div>", false, false},
		{"the dots of a table of contents", page + "Introducción " + strings.Repeat(".", 180) + " 3</p>", false, false},
		{"two long paragraphs alike", page + strings.Repeat(strings.Repeat("x", 100)+strings.Repeat("y", 140), 3), false, false},
		{"nothing", "", false, false},
	} {
		if got := loops(tt.text, loopEnded); got != tt.ended {
			t.Errorf("%s, at the end: %v", tt.name, got)
		}
		if got := loops(tt.text, loopRunning); got != tt.running {
			t.Errorf("%s, while it is written: %v", tt.name, got)
		}
	}
}
