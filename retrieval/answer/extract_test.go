package answer

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/acervo-kb/acervo/retrieval"
)

func texts(all []sentence) []string {
	var out []string
	for _, s := range all {
		out = append(out, s.text)
	}
	return out
}

func TestSentences(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"abbreviations", "El Sr. Pérez y D.ª Begoña firman el contrato n.º 2031. Suma 1.250,75 € (IVA aparte). Paga Tecnologías Ñandú, S. L. de Madrid. ¿Quién responde? ¡Nadie!",
			[]string{"El Sr. Pérez y D.ª Begoña firman el contrato n.º 2031.", "Suma 1.250,75 € (IVA aparte).", "Paga Tecnologías Ñandú, S. L. de Madrid.", "¿Quién responde?", "¡Nadie!"}},
		{"initials", "Mr. J. R. Smith, Inc. v. Doe was heard at 10 a.m. on Monday. It ended on no. 5 of p. 12.", []string{"Mr. J. R. Smith, Inc. v. Doe was heard at 10 a.m. on Monday.", "It ended on no. 5 of p. 12."}},
		{"wrapped lines", "La garantía dura\ntres años. Cubre\nlas piezas.\n\nOtra cosa.", []string{"La garantía dura tres años.", "Cubre las piezas.", "Otra cosa."}},
		{"headings", "# Contrato\n\nGarantía\n\nDura tres años.", []string{"Dura tres años."}},
		{"rows and items", "| pieza | precio |\n| tornillo | 3 € |\n- primero\n- segundo", []string{"| pieza | precio |", "| tornillo | 3 € |", "- primero", "- segundo"}},
		{"a table without rules", "Concepto Importe\nFianza legal 2.501,50 €\nGarantía 3.752,25 €\nTasa de basuras 187,30 €", []string{"Fianza legal 2.501,50 €", "Garantía 3.752,25 €", "Tasa de basuras 187,30 €"}},
		{"numbers in wrapped lines", "En 2019 nacieron en\nMadrid 3.400 niños y\n2.900 niñas, dijo\nel director.", []string{"En 2019 nacieron en Madrid 3.400 niños y 2.900 niñas, dijo el director."}},
		{"quotes", "«Dura tres años.» Así lo dice. \"Why?\" He left…  Then came back.", []string{"«Dura tres años.»", "Así lo dice.", "\"Why?\"", "He left…", "Then came back."}},
		{"nothing", " \n ", nil},
	} {
		if diff := cmp.Diff(c.want, texts(sentences(c.text))); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	for _, s := range sentences(strings.Repeat("palabra ", 500) + "fin.") {
		if n := len([]rune(s.text)); n > maxQuote {
			t.Errorf("a sentence of %d characters", n)
		}
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

var quoted = regexp.MustCompile(`«(.*)» \[(\d)\]`)

func TestExtractive(t *testing.T) {
	hits := map[string]retrieval.Hit{"contract": hit("contract", contract, 0.9), "handbook": hit("handbook", handbook, 0.9), "library": hit("library", library, 0.9)}
	library := hits["library"]
	library.Chunk.Title, library.Chunk.Heading = "Biblioteca de Arganda", []string{"Horario"}
	hits["library"] = library
	penalty := hit("penalty", "Por cada semana de atraso se descontará el 0,5 % del precio. El precio no se revisa. Los pagos son mensuales.", 0.9)
	penalty.Chunk.Heading = []string{"Contrato", "Penalización"}
	hits["penalty"] = penalty
	for _, c := range []struct{ question, passages, want string }{
		{"¿Cuánto dura la garantía?", "contract handbook", "La garantía de los equipos dura tres años"},
		{"At what wind speed must the dome be closed?", "handbook contract", "54 kilometres"},
		{"¿Qué días abre la biblioteca?", "library contract", "los sábados"},
		{"penalizacion por retraso", "contract library", "0,5 %"},
		{"¿Qué penalización hay?", "penalty", "0,5 %"},
		{"extension of the officer on duty", "handbook", "4417"},
		{"¿Quién firma el acta?", "contract", "Begoña Ibáñez"},
		{"wholly other words", "handbook", "The dome"}, // found by meaning alone
	} {
		x := &fakeIndex{}
		for name := range strings.FieldsSeq(c.passages) {
			x.hits = append(x.hits, hits[name])
		}
		got, err := Collect(newAnswerer(x, nil).Ask(t.Context(), Question{Text: c.question}))
		if err != nil || got.Mode != Extractive || got.Abstained || !strings.Contains(got.Text, c.want) {
			t.Errorf("%s: %v %+v", c.question, err, got)
			continue
		}
		if n := got.Citations[0].N; n != 1 {
			t.Errorf("%s: the first citation is %d: %q", c.question, n, got.Text)
		}
		cited := map[string]bool{}
		for _, q := range quoted.FindAllStringSubmatch(got.Text, -1) {
			cited[q[2]] = true
			if !strings.Contains(squeeze(x.hits[q[2][0]-'1'].Chunk.Text), q[1]) {
				t.Errorf("%s: not in the passage: %q", c.question, q[1])
			}
		}
		if len(cited) != len(got.Citations) {
			t.Errorf("%s: %q has %d citations", c.question, got.Text, len(got.Citations))
		}
	}
}

// One sentence that answers is not drowned in others that share a common word.
func TestExtractIsShort(t *testing.T) {
	x := &fakeIndex{hits: []retrieval.Hit{hit("a", contract, 0.9), hit("b", strings.Repeat("Los equipos son nuevos. ", 30), 0.6), hit("c", handbook, 0.1)}}
	got, err := Collect(newAnswerer(x, nil).Ask(t.Context(), Question{Text: "¿Cuánto dura la garantía de los equipos?"}))
	if err != nil || len(quoted.FindAllString(got.Text, -1)) != 1 {
		t.Errorf("%v %q", err, got.Text)
	}
}

func TestStem(t *testing.T) {
	for _, same := range []string{"garantía garantías", "penalización penalizaciones penalizar", "abre abren abrir", "closed closes closing", "día días", "semana SEMANAS", "deliver delivers delivered"} {
		var want string
		for i, w := range strings.Fields(same) {
			got := content(w)
			if i == 0 {
				want = got[0]
			}
			if len(got) != 1 || got[0] != want {
				t.Errorf("%s: stem %v, want %s", w, got, want)
			}
		}
	}
}
