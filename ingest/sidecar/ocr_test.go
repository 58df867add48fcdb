package sidecar

import (
	"bytes"
	"context"
	"errors"
	"image"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// A stub is an engine with one answer.
type stub struct {
	page  parse.ScannedPage
	err   error
	calls int
}

func (s *stub) recognize(context.Context, []byte, string) (parse.ScannedPage, error) {
	s.calls++
	return s.page, s.err
}

func reads(engine string, confidence float64) *stub {
	return &stub{page: parse.ScannedPage{Engine: engine, Confidence: confidence}}
}

func TestChain(t *testing.T) {
	missing, dead := &stub{err: ErrMissing}, &stub{err: parse.Errorf(parse.Crashed, "it died")}
	tests := []struct {
		name    string
		engines []engine
		want    string
		err     error
	}{
		{"the first is sure", []engine{reads("a", 0.9), dead}, "a", nil},
		{"the second is better", []engine{reads("a", 0.3), reads("b", 0.5)}, "b", nil},
		{"the second is worse", []engine{reads("a", 0.3), reads("b", 0.2)}, "a", nil},
		{"the first is missing", []engine{missing, reads("b", 0.2)}, "b", nil},
		{"the second dies", []engine{reads("a", 0.3), dead}, "a", nil},
		{"nothing is there", []engine{missing, missing}, "", ErrMissing},
		{"a page at fault says more", []engine{&stub{err: ErrUnavailable}, dead}, "", dead.err},
		{"a death says more", []engine{missing, dead}, "", dead.err},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := &OCR{engines: tt.engines, log: Config{}.log()}
			page, err := o.Recognize(t.Context(), picture(t, 20, 10), "")
			if page.Engine != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("engine %q, error %v", page.Engine, err)
			}
		})
	}
}

// A page that is read while a better engine does not run is told from one that the best there is has read.
func TestStopgap(t *testing.T) {
	out := &stub{err: ErrUnavailable}
	for name, tt := range map[string]struct {
		engines []engine
		want    bool
	}{
		"the first does not run":     {[]engine{out, reads("b", 0.9)}, true},
		"the first is missing":       {[]engine{&stub{err: ErrMissing}, reads("b", 0.9)}, false},
		"a lesser one does not run":  {[]engine{reads("a", 0.3), out}, false},
		"the first one is the judge": {[]engine{reads("a", 0.9), out}, false},
	} {
		o := &OCR{engines: tt.engines, log: Config{}.log()}
		if page, err := o.Recognize(t.Context(), picture(t, 20, 10), ""); err != nil || page.Stopgap != tt.want {
			t.Errorf("%s: %v, %v", name, page.Stopgap, err)
		}
	}
}

func TestNewOCR(t *testing.T) {
	if _, err := NewOCR(Config{Engine: "abbyy"}); err == nil {
		t.Error("no error for an engine that is none")
	}
	for engine, want := range map[string]int{"": 1, "auto": 1, "tesseract": 1, "rapidocr": 1} {
		o, err := NewOCR(Config{Engine: engine})
		if err != nil || len(o.engines) != want {
			t.Errorf("%q without Python: %d engines, %v", engine, len(o.engines), err)
		}
		o.Close()
	}
	o, _ := NewOCR(Config{Engine: "rapidocr"})
	if _, err := o.Recognize(t.Context(), picture(t, 20, 10), ""); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "acervo setup ocr") {
		t.Errorf("RapidOCR without Python: %v", err)
	}
}

func TestMissingTesseract(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	o, _ := NewOCR(Config{})
	if _, err := o.Recognize(t.Context(), picture(t, 20, 10), ""); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), tesseractMends) {
		t.Errorf("error %v", err)
	}
}

// Tesseract takes a text for a list of files to read: none may reach it.
func TestNoPicture(t *testing.T) {
	answers := reads("a", 0.9)
	o := &OCR{engines: []engine{answers}, log: Config{}.log()}
	for _, data := range []string{"", "/etc/passwd\n", "\x89PNG\r\n\x1a\n", "GIF89a"} {
		var refused *parse.Error
		if _, err := o.Recognize(t.Context(), []byte(data), ""); !errors.As(err, &refused) || refused.Code != parse.Corrupt {
			t.Errorf("%q: %v", data, err)
		}
	}
	if answers.calls > 0 {
		t.Error("an engine was given what is no picture")
	}
}

func TestChooseLanguages(t *testing.T) {
	tess := &tesseract{languages: "spa+eng"}
	for given, want := range map[string]string{"": "spa+eng", "es,en": "spa+eng", "eng": "eng", "fr + spa": "fra+spa", "+": "spa+eng"} {
		if got := tess.choose(given); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
}

func TestTurn(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 4, 3))
	img.Pix[1*img.Stride+3] = 200 // in the box of the pixel: x 3–4 of 4, y 1–2 of 3
	want := [4]float64{3.0 / 4, 1.0 / 3, 1, 2.0 / 3}
	for quarters := range 4 {
		turned := img
		if quarters > 0 {
			turned = turn(img, quarters)
		}
		at := bytes.IndexByte(turned.Pix, 200)
		w, h := turned.Rect.Dx(), turned.Rect.Dy()
		x, y := at%turned.Stride, at/turned.Stride
		box := part([4]float64{float64(x), float64(y), float64(x + 1), float64(y + 1)}, float64(w), float64(h))
		if got := turnBack(box, quarters); !near(got, want, 1e-9) {
			t.Errorf("%d quarters: %v, want %v", quarters, got, want)
		}
	}
	// One quarter clockwise: what was at the bottom left is at the top left.
	corner := image.NewGray(image.Rect(0, 0, 4, 3))
	corner.Pix[2*corner.Stride] = 200
	if turn(corner, 1).Pix[0] != 200 {
		t.Error("it turns the other way")
	}
}

func near(a, b [4]float64, by float64) bool {
	for i := range a {
		if math.Abs(a[i]-b[i]) > by {
			return false
		}
	}
	return true
}

func TestRapidPage(t *testing.T) {
	page := rapidPage{Width: 1000, Height: 1000, Turns: 2, Lines: []rapidLine{
		{"Contrato de", 0.9, [4]float64{100, 100, 300, 140}},
		{"arrendamiento", 0.8, [4]float64{310, 102, 600, 141}},
		{"de local", 0.9, [4]float64{100, 150, 300, 190}},
		{"Artículo 1", 0.9, [4]float64{100, 300, 300, 340}},
		{"otra columna", 0.9, [4]float64{700, 302, 900, 342}},
		{"  ", 0.9, [4]float64{0, 0, 10, 10}},
	}}.page()
	var got []string
	var paragraphs []int
	for _, line := range page.Lines {
		got, paragraphs = append(got, line.Text), append(paragraphs, line.Paragraph)
	}
	if !slices.Equal(got, []string{"Contrato de arrendamiento", "de local", "Artículo 1", "otra columna"}) || !slices.Equal(paragraphs, []int{1, 1, 2, 3}) {
		t.Errorf("%q in paragraphs %v", got, paragraphs)
	}
	if want := [4]float64{0.4, 0.859, 0.9, 0.9}; !near(page.Lines[0].Box, want, 1e-9) {
		t.Errorf("box %v, want %v", page.Lines[0].Box, want)
	}
}
