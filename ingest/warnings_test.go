package ingest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/acervo-kb/acervo/ingest/parse"
)

func TestWarningIn(t *testing.T) {
	s := scans{content: parse.Content{NeedsOCR: []int{3}}, pages: map[int]parse.ScannedPage{3: {Engine: "tesseract 5.3.0", Confidence: 0.4, Lines: make([]parse.ScannedLine, 1)}}}
	l := listener{heard: hearing{Transcript: parse.Transcript{Unread: [][2]float64{{3, 11}}}}}
	invented := listener{heard: hearing{Transcript: parse.Transcript{Segments: said, Dropped: [][2]float64{{3, 11.2}, {20, 25}}}}}
	for english, want := range map[string]string{
		s.doubts()[0]:                  "leído por tesseract 5.3.0 con poca seguridad (0,40): página 3",
		l.content().Warnings[0]:        "la grabación no se ha podido leer en 00:03–00:11",
		invented.content().Warnings[0]: "se han dejado fuera 13 s de la grabación por no ser habla",
		"2 hidden characters removed":  "se han quitado 2 caracteres ocultos",
		"some other":                   "some other",
	} {
		if got := WarningIn("es", english); got != want {
			t.Errorf("%q is said as %q, want %q", english, got, want)
		}
		if got := WarningIn("en", english); got != english {
			t.Errorf("%q is said as %q in English", english, got)
		}
	}
}

// TestWarningsAreTranslated finds the warnings of the parsers in their sources.
func TestWarningsAreTranslated(t *testing.T) {
	files, err := filepath.Glob("parse/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\bwarn\("([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
			found++
			if warning := strings.ReplaceAll(m[1], "%d", "7"); WarningIn("es", warning) == warning {
				t.Errorf("%s: %q has no translation", name, m[1])
			}
		}
	}
	if found == 0 {
		t.Error("no warning was found: this test looks for the wrong thing")
	}
}
