package retrieval

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStemsMeet(t *testing.T) {
	tests := map[string][]string{
		"es": {"año años", "día días dias", "mes meses", "vez veces", "luz luces", "lápiz lápices", "garantía garantías GARANTIA", "semana semanas", "pago pagos pagar pagado pagamos",
			"penalización penalizaciones penalizacion", "casa casas", "tasa tasas", "obra obras", "niño niños", "revisión revisiones", "isla islas", "ojo ojos", "tren trenes", "edición ediciones"},
		"en": {"delivery deliveries", "close closed closing", "box boxes", "study studies", "kilometre kilometres"},
	}
	for language, families := range tests {
		for _, family := range families {
			met := map[string]bool{}
			for _, w := range strings.Fields(family) {
				met[strings.Join(stemTerms(words(w), language), "")] = true
			}
			if len(met) != 1 {
				t.Errorf("%s: %s have different stems: %v", language, family, met)
			}
		}
	}
	for _, pair := range []string{"ano mano", "casa cosa", "garantía garaje", "obra obrero"} {
		a, b, _ := strings.Cut(pair, " ")
		if stemSpanish(fold(a)) == stemSpanish(fold(b)) {
			t.Errorf("%s are one", pair)
		}
	}
}

func TestExactTerms(t *testing.T) {
	tests := map[string]string{
		"Ñandú, S. L.":           "nandu s l",
		"KX-7741-Ñ":              "kx 7741 kx-7741 n 7741-n",
		"1.250,75 € (0,5 %).":    "1.250,75 0,5",
		"n.º 2031/B":             "n o n-o 2031 b 2031-b",
		"ﬁn del año":             "fin del ano",
		"東京 tower":               "東 京 東-京 tower",
		"v1.2, 3.":               "v1.2 3",
		"":                       "",
		"¿?":                     "",
		strings.Repeat("a", 300): strings.Repeat("a", maxWord),
		"a\xffb":                 "a b a-b",
	}
	for text, want := range tests {
		if got := strings.Join(exactTerms(words(text)), " "); got != want {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
}

func FuzzWords(f *testing.F) {
	f.Add("Código ZX-0007: 1.250,75 €")
	f.Fuzz(func(t *testing.T, text string) {
		for _, w := range words(text) {
			if w.text == "" || len(w.text) > maxWord || strings.ContainsAny(w.text, " \n\t") {
				t.Errorf("%q has the word %q", text, w.text)
			}
			stems(w.text, "")
		}
	})
}

func TestDetectLanguage(t *testing.T) {
	tests := map[string]string{
		"¿Cuánto dura la garantía?":                   "es",
		"penalizacion por retraso":                    "es",
		"¿Qué días abre la biblioteca?":               "es",
		"At what wind speed must the dome be closed?": "en",
		"What is the boiling point of tungsten?":      "en",
		"Who delivers the liquid nitrogen?":           "en",
		"¿Cuánto dura el vuelo de Madrid a Tokio?":    "es",
		"GPU":     "",
		"4417":    "",
		"":        "",
		"ZX-0007": "",
		"Un texto largo. " + strings.Repeat("La casa de la colina tiene un tejado rojo y una puerta verde. ", 8): "es",
		strings.Repeat("The house on the hill has a red roof and a green door. ", 8):                             "en",
		strings.Repeat("La maison sur la colline a un toit rouge et une porte verte que nous aimons. ", 8):       "fr",
	}
	for text, want := range tests {
		if got := DetectLanguage(text); got != want {
			t.Errorf("%q is %q, not %q", text, got, want)
		}
	}
}

func candidates(cs ...candidate) []*candidate {
	out := make([]*candidate, len(cs))
	for i := range cs {
		out[i] = &cs[i]
		out[i].ref = ref{&entry{source: Source{ID: fmt.Sprint(i)}}, 0}
	}
	return out
}

func order(cs []*candidate) string {
	slices.SortFunc(cs, better)
	var ids []string
	for _, c := range cs {
		ids = append(ids, c.ref.entry.source.ID)
	}
	return strings.Join(ids, "")
}

func TestFuse(t *testing.T) {
	words := func(bm25 float64, l string) candidate {
		return candidate{language: l, lexical: bm25, coverage: 1, closeness: 1, embedded: true}
	}
	near := func(cosine float64, l string) candidate {
		return candidate{language: l, vector: cosine, near: true, embedded: true}
	}
	both := func(bm25, cosine float64, l string) candidate {
		return candidate{language: l, lexical: bm25, coverage: 1, closeness: 1, vector: cosine, near: true, embedded: true}
	}
	tests := []struct {
		name, language string
		cs             []candidate
		want           string
	}{
		{"without vectors the words decide", "es", []candidate{words(1, "es"), words(3, "en"), words(2, "es")}, "120"},
		{"without words the vectors decide", "es", []candidate{near(.8, "es"), near(.9, "es"), near(.85, "es")}, "120"},
		{"both beat one", "es", []candidate{words(3, "es"), near(.9, "es"), both(2.9, .89, "es"), near(.1, "es")}, "2013"},
		{"what has no vector yet is judged by its words", "es", []candidate{{language: "es", lexical: 3, coverage: 1, closeness: 1}, both(1, .9, "es"), near(.8, "es")}, "012"},
		{"nor by words that explain little", "es", []candidate{{language: "es", lexical: 3, coverage: .2, closeness: .2}, near(.9, "en"), near(.8, "es")}, "102"},
		{"equals keep an order", "es", []candidate{words(1, "es"), words(1, "es")}, "01"},
		{"equal words across languages count less", "es", []candidate{both(3, .80, "en"), both(3, .80, "es"), near(.7, "es")}, "102"},
		{"words that explain little do not outvote meaning", "es", []candidate{{language: "es", lexical: 3, coverage: .6, closeness: .3, embedded: true}, near(.9, "en"), near(.8, "es")}, "102"},
		{"nothing", "es", nil, ""},
	}
	for _, tt := range tests {
		cs := candidates(tt.cs...)
		fuse(cs, tt.language, 0, defaultWeights)
		if got := order(cs); got != tt.want {
			t.Errorf("%s: %s, not %s", tt.name, got, tt.want)
		}
		for _, c := range cs {
			if c.score < 0 || c.score > 1 {
				t.Errorf("%s: score %v", tt.name, c.score)
			}
		}
	}
}

// The answer in the other language stands out among its own, and is lifted; a language of few texts is not.
func TestFuseLiftsTheOtherLanguage(t *testing.T) {
	var cs []candidate
	for i := range 50 {
		cs = append(cs, candidate{language: "es", vector: .80 + .0001*float64(i), near: true, embedded: true})
		cs = append(cs, candidate{language: "en", vector: .70 + .0001*float64(i), near: true, embedded: true})
	}
	cs = append(cs, candidate{language: "en", vector: .78, near: true, embedded: true})
	all := candidates(cs...)
	fuse(all, "es", 0, defaultWeights)
	if got := order(all); !strings.HasPrefix(got, "100") {
		t.Errorf("the answer in English is not first: %.6s", got)
	}
	few := candidates(append(slices.Clone(cs[:1]), cs[1], cs[100])...)
	fuse(few, "es", 0, defaultWeights)
	if got := order(few); !strings.HasPrefix(got, "0") {
		t.Errorf("one text makes a level: %s", got)
	}
	fuse(few, "es", .1, defaultWeights)
	if got := order(few); !strings.HasPrefix(got, "2") {
		t.Errorf("the model's own level of another language does not count: %s", got)
	}
}

func TestCloseness(t *testing.T) {
	ws, weights := []string{"garantia", "equipos"}, []float64{1, 1}
	for text, want := range map[string]float64{
		"La garantía de los equipos.":                                         1,
		"La garantía. " + strings.Repeat("sin más ", nearby) + "Los equipos.": .5,
		"Equipo y más equipos":                                                .5,
		"Nada de eso":                                                         0,
	} {
		if _, got := newJudge(ws, weights).shares(text); got != want {
			t.Errorf("%.40s: %v, not %v", text, got, want)
		}
	}
}

func TestCoverage(t *testing.T) {
	const warranty = "Contrato > Garantía\n\nLa garantía de los equipos dura tres años desde la entrega."
	df := map[string]uint64{"dura": 1, "garantia": 1, "abre": 1, "biblioteca": 1, "penalizacion": 1, "retraso": 1, "equipos": 2}
	tests := []struct {
		question, text string
		low, high      float64
	}{
		{"¿Cuánto dura la garantía?", warranty, 1, 1},
		{"GARANTIA", warranty, 1, 1},
		{"¿Cuánto dura el vuelo de Madrid a Tokio?", warranty, 0.05, 0.3},
		{"¿Qué días abre la biblioteca?", "La biblioteca abre los sábados de 10 a 14 horas y cierra en agosto.", 0.6, 0.7},
		{"penalizacion por retraso", "## Penalización\n\nPor cada semana de retraso se descontará el 0,5 %.", 1, 1},
		{"What is the boiling point of tungsten?", warranty, 0, 0},
		{"¿Qué?", warranty, 0, 0},
	}
	for _, tt := range tests {
		ws := contentWords(tt.question)
		weights := make([]float64, len(ws))
		for i, w := range ws {
			weights[i] = idf(df[w], 5)
		}
		if got, _ := newJudge(ws, weights).shares(tt.text); got < tt.low-1e-9 || got > tt.high+1e-9 {
			t.Errorf("%q: %.2f, not %.2f to %.2f", tt.question, got, tt.low, tt.high)
		}
	}
}

func TestLikeness(t *testing.T) {
	s := &space{Unrelated: 0.7, Related: 0.9}
	for cosine, want := range map[float64]float64{0.6: 0, 0.7: 0, 0.8: 0.5, 0.9: 1, 0.95: 1} {
		if got := s.likeness(cosine); got < want-1e-9 || got > want+1e-9 {
			t.Errorf("%v is %v, not %v", cosine, got, want)
		}
	}
	if (&space{Unrelated: 0.7, Related: 0.7}).likeness(1) != 0 {
		t.Error("a space that tells nothing apart is believed")
	}
}

func TestHalve(t *testing.T) {
	for _, text := range []string{strings.Repeat("palabra ", 50), strings.Repeat("ñ", 100), strings.Repeat("x", 64), strings.Repeat("東京", 40)} {
		a, b, ok := halve(text)
		trimmed := strings.TrimSpace(text)
		if !ok || len(a) >= len(text) || len(b) >= len(text) || !strings.HasPrefix(trimmed, a) || !strings.HasSuffix(trimmed, b) || len(a)+len(b) < len(trimmed) {
			t.Errorf("%.20q: %d and %d bytes of %d, %v", text, len(a), len(b), len(text), ok)
		}
		if strings.ToValidUTF8(a, "?") != a || strings.ToValidUTF8(b, "?") != b {
			t.Errorf("%.20q is cut within a character", text)
		}
	}
	if _, _, ok := halve("corto"); ok {
		t.Error("a short text was cut")
	}
}

// Halving finds the text at fault; the others are embedded, and an embedder that fails altogether condemns none.
func TestWindower(t *testing.T) {
	broken := false
	embed := func(_ context.Context, texts []string) ([][]float32, error) {
		out := make([][]float32, len(texts))
		for i, s := range texts {
			switch {
			case broken || strings.Contains(s, "veneno"):
				return nil, errors.New("500")
			case len(s) > 200:
				return nil, ErrTooLong
			}
			out[i] = []float32{float32(len(s))}
		}
		return out, nil
	}
	texts := []string{"uno", strings.Repeat("largo ", 100), "dos", "veneno", "tres"}
	w := &windower{}
	got, err := w.embed(t.Context(), texts, embed)
	if err != nil {
		t.Fatal(err)
	}
	var windows []int
	for _, o := range got {
		windows = append(windows, len(o.vectors))
	}
	if diff := cmp.Diff([]int{1, 4, 1, 0, 1}, windows); diff != "" || got[3].err == nil {
		t.Errorf("windows: %s %v", diff, got[3].err)
	}
	broken = true
	if got, err := w.embed(t.Context(), texts, embed); err == nil {
		t.Errorf("an embedder that fails altogether: %v", got)
	}
}

func TestPlaces(t *testing.T) {
	got := placesOf([]string{"a/b/c.txt", "a/d.txt", "e.txt"})
	if diff := cmp.Diff([]string{"a/", "a/b/", "a/b/c.txt", "a/d.txt", "e.txt"}, got); diff != "" {
		t.Error(diff)
	}
}
