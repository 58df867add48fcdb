package answer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/acervo-kb/acervo/retrieval"
)

const lease = `CONTRATO DE ARRENDAMIENTO

Reunidos doña Ana Pérez, la arrendadora, y don
Luis Gil, el arrendatario. Ambos se reconocen capacidad.

Tercera. Renta

La renta mensual es de 1.250,00 € más el I.V.A., y se
paga en los seis primeros días de cada mes. Se revisa
cada año según el índice de precios.

Cuarta. Fianza

La fianza es de dos mensualidades. El arrendatario no hará obras.`

// scanned is a text as a chunk of a page, whose lines have boxes from 0 on, each as high as a hundredth of the page.
func scanned(id, text string, page int) retrieval.Chunk {
	c := retrieval.Chunk{ID: id, Text: text, Location: retrieval.Location{Kind: "page", Page: page, Boxes: [][4]float64{{0, 0, 1, 1}}}}
	at := 0
	for n, l := range strings.SplitAfter(text, "\n") {
		if end := at + len(strings.TrimSpace(l)); end > at {
			c.Lines = append(c.Lines, retrieval.Line{Start: at, End: end, Box: lineBox(n)})
		}
		at += len(l)
	}
	return c
}

func lineBox(n int) [4]float64 { return [4]float64{0, float64(n) / 100, 1, float64(n+1) / 100} }

func linesOf(numbers ...int) (boxes [][4]float64) {
	for _, n := range numbers {
		boxes = append(boxes, lineBox(n))
	}
	return boxes
}

func TestBearing(t *testing.T) {
	all := [][4]float64{{0, 0, 1, 1}}
	for name, c := range map[string]struct {
		claims, asked []string
		want          [][4]float64
	}{
		"in the middle of its lines":       {[]string{"La renta mensual es de 1.250 euros."}, nil, linesOf(7, 8)},
		"in the middle of a line":          {[]string{"Ambas partes se reconocen capacidad."}, nil, linesOf(3)},
		"a number, punctuated otherwise":   {[]string{"The monthly rent is 1250 euros."}, nil, linesOf(7, 8)},
		"two sentences of one claim":       {[]string{"La arrendadora es Ana Pérez y la fianza es de dos mensualidades."}, nil, linesOf(2, 3, 13)},
		"two claims":                       {[]string{"La fianza son dos mensualidades.", "Se reconocen capacidad."}, nil, linesOf(3, 13)},
		"a heading":                        {[]string{"Es un contrato de arrendamiento."}, nil, linesOf(0)},
		"the question decides":             {[]string{"El arrendatario."}, content("¿Quién no hará obras?"), linesOf(13)},
		"what is not there is not guessed": {[]string{"The landlady must hand over the keys to the tenant in time."}, nil, all},
		"one common word is too little":    {[]string{"El seguro multirriesgo cubre cristales, incendios, robos y daños por agua en cada local."}, nil, all},
		"no claim":                         {nil, content("¿Cuál es la renta?"), all},
	} {
		p := passage{N: 1, hit: retrieval.Hit{Chunk: scanned("c", lease, 3)}}
		if diff := cmp.Diff(c.want, p.cite(c.claims, c.asked).Location.Boxes); diff != "" {
			t.Errorf("%s (-want +got): %s", name, diff)
		}
	}
}

// A passage is read with its neighbour, which may stand on the next page: the citation is of the one that says it.
func TestBearingOnTheNextPage(t *testing.T) {
	first, second := scanned("c.0", "El contrato dura siete años.\nLa renta mensual", 1), scanned("c.1", "Otra cosa.\nAsciende a 900 €.", 2)
	p := passage{N: 1, hit: retrieval.Hit{Chunk: first}, chunks: []retrieval.Chunk{first, second}}
	for claim, want := range map[string]retrieval.Location{
		"Dura siete años.":     {Kind: "page", Page: 1, Boxes: linesOf(0)},
		"Asciende a 900 euros": {Kind: "page", Page: 2, Boxes: linesOf(1)},
	} {
		if diff := cmp.Diff(want, p.cite([]string{claim}, nil).Location); diff != "" {
			t.Errorf("%s (-want +got): %s", claim, diff)
		}
	}
}

func TestClaims(t *testing.T) {
	for answer, want := range map[string]map[int][]string{
		"Dura tres años [1]. La firma Ana [2].":        {1: {"Dura tres años ."}, 2: {"La firma Ana ."}},
		"Dura tres años. [1] La firma Ana. [2]":        {1: {"Dura tres años ."}, 2: {"La firma Ana ."}},
		"Dura tres años. La firma Ana [1][2].":         {1: {"Dura tres años.", "La firma Ana ."}, 2: {"Dura tres años.", "La firma Ana ."}},
		"Según [2]:\n\n- la renta es 900\n- sube poco": {2: {"Según :", "- la renta es 900", "- sube poco"}},
		"Nada se cita.": {},
	} {
		if diff := cmp.Diff(want, claims(answer)); diff != "" {
			t.Errorf("%s (-want +got): %s", answer, diff)
		}
	}
}

// Both kinds of answer mark the sentence they cite.
func TestCitationsAreNarrow(t *testing.T) {
	x := &fakeIndex{language: es, hits: []retrieval.Hit{hit("lease", "", 0.9), hit("other", handbook, 0.6)}}
	x.hits[0].Chunk = scanned("lease.0", lease, 3)
	for mode, m := range map[string]Generator{Extractive: nil, Generated: &fakeModel{reply: "La renta mensual es de 1.250 € [1]."}} {
		got, err := Collect(newAnswerer(x, m).Ask(t.Context(), Question{Text: "¿Cuál es la renta mensual?"}))
		if err != nil || got.Mode != mode || len(got.Citations) != 1 {
			t.Fatalf("%s: %v %+v", mode, err, got)
		}
		c := got.Citations[0]
		if diff := cmp.Diff(linesOf(7, 8), c.Location.Boxes); diff != "" {
			t.Errorf("%s (-want +got): %s", mode, diff)
		}
		if len(c.Hit.Chunk.Location.Boxes) != 1 {
			t.Errorf("%s: the hit itself is at %v", mode, c.Hit.Chunk.Location.Boxes)
		}
	}
}

func TestSentencesAreInTheirText(t *testing.T) {
	part := rapid.SampledFrom([]string{"Dura tres años.", "¿Quién? ", "# Título", "| a | b |", "- uno", "1. dos", "\n", "\n\n", " ", "\t", "\u00a0", "\u2028", "S. L. ", "palabra ", "漢字。", strings.Repeat("x", 700)})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(part, 0, 30).Draw(t, "parts"), "")
		end := 0
		for _, s := range sentencesAndHeadings(text) {
			if s.at[0] < end || squeeze(text[end:s.at[0]]) != "" || squeeze(text[s.at[0]:s.at[1]]) != s.text {
				t.Fatalf("%q is not at %v, behind %d, of %q", s.text, s.at, end, text)
			}
			end = s.at[1]
		}
		if squeeze(text[end:]) != "" {
			t.Fatalf("nothing holds the end of %q", text[end:])
		}
	})
}

// TestBearingOfXQuAD looks for what holds the answers of XQuAD, among three paragraphs, as if a model had said them in
// the language of the text or in the other one. What it marks is to hold the answer where XQuAD has it; most of what
// seems wrong says the same elsewhere.
func TestBearingOfXQuAD(t *testing.T) {
	data := os.Getenv("ACERVO_TEST_DATA")
	if data == "" {
		t.Skip("ACERVO_TEST_DATA does not name the folder of test data")
	}
	sets := map[string][][]xquadParagraph{es: xquad(t, data, es), en: xquad(t, data, en)}
	for _, c := range []struct {
		said, read    string
		marked, right float64 // at least: of all, of those that are marked
	}{{es, es, 0.95, 0.9}, {en, en, 0.95, 0.9}, {en, es, 0.5, 0.85}, {es, en, 0.5, 0.85}} {
		n, marked, right, share := 0.0, 0.0, 0.0, 0.0
		for i, article := range sets[c.read] {
			for p := 0; p+3 <= len(article); p += 3 {
				text := article[p].Context + "\n\n" + article[p+1].Context + "\n\n" + article[p+2].Context
				start := 0
				for k, paragraph := range article[p : p+3] {
					for q, qa := range paragraph.QAs {
						said := sets[c.said][i][p+k].QAs[q]
						at := bearing(retrieval.Chunk{Text: text}, []string{said.Question + " " + said.Answers[0].Text}, content(said.Question))
						n++
						if len(at) == 0 {
							continue
						}
						marked++
						gold := start + len(string([]rune(paragraph.Context)[:qa.Answers[0].Start]))
						for _, piece := range at {
							share += float64(piece[1]-piece[0]) / float64(len(text))
							if piece[0] <= gold && gold < piece[1] {
								right++
							}
						}
					}
					start += len(paragraph.Context) + len("\n\n")
				}
			}
		}
		t.Logf("%s of %s: %.3f of %g are marked, %.3f of them right, %.3f of the text is", c.said, c.read, marked/n, n, right/marked, share/marked)
		if marked < c.marked*n || right < c.right*marked || share > 0.15*marked {
			t.Errorf("that is too little")
		}
	}
}

type xquadParagraph struct {
	Context string
	QAs     []struct {
		Question string
		Answers  []struct {
			Text  string
			Start int `json:"answer_start"` // in characters
		}
	}
}

func xquad(t *testing.T, data, language string) (articles [][]xquadParagraph) {
	t.Helper()
	var set struct {
		Data []struct{ Paragraphs []xquadParagraph }
	}
	raw, err := os.ReadFile(filepath.Join(data, "xquad", "xquad."+language+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		t.Fatal(err)
	}
	for _, a := range set.Data {
		articles = append(articles, a.Paragraphs)
	}
	return articles
}
