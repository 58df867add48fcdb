package parse

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestCleanPDF(t *testing.T) {
	for in, want := range map[string]string{
		"configuraci´on del ni˜no":  "configuración del niño",
		"ping¨uino, d´ıa, gar¸con":  "pingüino, día, garçon",
		"perch`e":                   "perchè",
		"`a` is code, 5´ is five":   "`a` is code, 5´ is five",
		"eﬃcient ﬁle, ﬂow, aﬀair":   "efficient file, flow, affair",
		"plain":                     "plain",
		"an accent at the end ´":    "an accent at the end ´",
		"Se˜nor ´Angel, ´Ursula, ´": "Señor Ángel, Úrsula, ´",
	} {
		if got := cleanPDF(in); got != want {
			t.Errorf("cleanPDF(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestIsTitle(t *testing.T) {
	for _, title := range []string{"Manual Boreal DX-9", "Contrato", "Documentos de la fábrica", "2001: una odisea"} {
		if !isTitle(title) {
			t.Errorf("%q is no title", title)
		}
	}
	for _, title := range []string{"", " ", "12", "Microsoft Word - carta.doc", "untitled", "Sin título 1", "Documento1", "scan0001.pdf", "a\xff", strings.Repeat("x", 300)} {
		if isTitle(title) {
			t.Errorf("%q is a title", title)
		}
	}
}

// TestLongParagraph: a page of one paragraph takes time by its lines, not by their square.
func TestLongParagraph(t *testing.T) {
	const n = 300_000
	lines := make([]pdfLine, n)
	for i := range lines {
		y := float64(i) / n
		lines[i] = pdfLine{text: "Punto.", size: 10, box: [4]float64{0.1, y, 0.9, y + 1.0/n}}
	}
	start := time.Now()
	blocks := paragraphs(lines)
	if took := time.Since(start); took > time.Minute || len(blocks) != 1 {
		t.Errorf("%d paragraphs after %s", len(blocks), took)
	}
}

func TestJoinHyphens(t *testing.T) {
	lines := func(parts ...string) (out []pdfLine) {
		for _, p := range parts {
			text, hyphen := strings.CutSuffix(p, "\x02")
			out = append(out, pdfLine{text: text, hyphen: hyphen})
		}
		return out
	}
	for name, test := range map[string]struct{ in, want []pdfLine }{
		"a word":         {lines("la configura\x02", "ción del equipo"), lines("la configuración", "del equipo")},
		"a code":         {lines("el DX\x02", "9 nuevo"), lines("el DX-9", "nuevo")},
		"two names":      {lines("Júcar\x02", "Segura"), lines("Júcar-Segura")},
		"over two lines": {lines("des\x02", "afortuna\x02", "damente no"), lines("desafortunadamente", "no")},
		"at the end":     {lines("conti\x02"), lines("conti-")},
		"none":           {lines("uno", "dos"), lines("uno", "dos")},
	} {
		if diff := cmp.Diff(test.want, joinHyphens(test.in), cmp.AllowUnexported(pdfLine{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestParagraphs(t *testing.T) {
	at := func(x, y, width float64, text string) pdfLine {
		return pdfLine{text: text, size: 10, box: [4]float64{x, y, x + width, y + 0.014}}
	}
	for name, test := range map[string]struct {
		lines []pdfLine
		want  []string
	}{
		"one":         {[]pdfLine{at(.1, .1, .8, "uno"), at(.1, .116, .8, "dos"), at(.1, .132, .3, "tres")}, []string{"uno dos tres"}},
		"a gap":       {[]pdfLine{at(.1, .1, .8, "uno"), at(.1, .116, .8, "dos"), at(.1, .148, .3, "tres")}, []string{"uno dos", "tres"}},
		"double":      {[]pdfLine{at(.1, .1, .8, "uno"), at(.1, .13, .8, "dos"), at(.1, .16, .3, "tres")}, []string{"uno dos tres"}},
		"an indent":   {[]pdfLine{at(.1, .1, .8, "uno"), at(.1, .116, .8, "dos."), at(.13, .132, .77, "tres"), at(.1, .148, .8, "cuatro")}, []string{"uno dos.", "tres cuatro"}},
		"a short end": {[]pdfLine{at(.1, .1, .8, "uno"), at(.1, .116, .3, "dos."), at(.1, .132, .8, "tres")}, []string{"uno dos.", "tres"}},
		"columns":     {[]pdfLine{at(.1, .1, .3, "uno"), at(.1, .116, .3, "dos"), at(.6, .1, .3, "tres"), at(.6, .116, .3, "cuatro")}, []string{"uno dos", "tres cuatro"}},
		"items":       {[]pdfLine{at(.1, .1, .3, "• uno"), at(.1, .116, .3, "• dos")}, []string{"• uno", "• dos"}},
		"a row":       {[]pdfLine{at(.1, .1, .1, "S"), at(.2, .097, .01, "2"), at(.215, .1, .1, ", así")}, []string{"S 2, así"}},
		"cells":       {[]pdfLine{at(.1, .1, .1, "fila"), at(.5, .1, .1, "33 dB")}, []string{"fila 33 dB"}},
		"none":        {nil, nil},
	} {
		var got []string
		for _, b := range paragraphs(test.lines) {
			got = append(got, b.text())
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// FuzzPDF lays out lines of any text at any place: no letter may be lost.
func FuzzPDF(f *testing.F) {
	f.Add("la configura\x02\nción ´o ﬁ\n• uno", 0.1, 0.2, 0.7, 0.016)
	f.Add("\x02\n\x02\n`\n", 0.9, -0.1, -0.3, 0.0)
	f.Fuzz(func(t *testing.T, text string, x, y, width, step float64) {
		if !utf8.ValidString(text) {
			return
		}
		var lines []pdfLine
		for i, s := range strings.Split(text, "\n") {
			s, hyphen := strings.CutSuffix(s, "\x02")
			if s = cleanPDF(s); strings.TrimSpace(s) == "" {
				continue
			}
			top := y + step*float64(i)
			box := pdfFrame{width: 1, height: 1}.box(x, top, x+width, top+0.014)
			lines = append(lines, pdfLine{text: s, hyphen: hyphen, size: x * 20, box: box})
		}
		want := letters(pdfBlock{lines: lines}.text())
		content, err := writePages("", []pdfPage{{number: 1, lines: joinHyphens(lines)}})
		if err != nil {
			return
		}
		checkContent(t, content)
		checkPages(t, content)
		if got := letters(content.Text); got != want {
			t.Errorf("letters %q became %q", want, got)
		}
	})
}

func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x250 && unicode.IsLetter(r) {
			return r
		}
		return -1
	}, s)
}
