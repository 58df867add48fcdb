package answer

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/acervo-kb/acervo/retrieval"
)

// passagesOf are numbered from 1, of one document, in its order.
func passagesOf(confidence float64, texts ...string) []passage {
	var out []passage
	for i, text := range texts {
		h := hit("documento", text, confidence)
		h.Chunk.N = i
		out = append(out, passage{N: i + 1, Text: text, hit: h})
	}
	return out
}

func TestMissing(t *testing.T) {
	const question = "¿Cuánto dura la garantía de los equipos de este contrato?"
	for name, c := range map[string]struct {
		question, answer string
		confidence       float64
		want             int
	}{
		"said":                      {question, "La garantía de los equipos dura tres años desde la entrega.", 0.3, 2},
		"said, in digits":           {question, "La garantía dura 3 años desde la entrega.", 0.3, 2},
		"said, enough of it":        {question, "La garantía de los equipos dura tres años naturales contados.", 0.3, 2},
		"said, too little of it":    {question, "La garantía dura tres años, contados siempre según el calendario.", 0.3, 0},
		"cited":                     {question, "La garantía dura tres años desde la entrega [2].", 0.3, 0},
		"cited wrong":               {question, "La garantía dura tres años desde la entrega [1].", 0.3, 2},
		"another number":            {question, "La garantía dura 2 años desde la entrega.", 0.9, 0},
		"half of what is new":       {question, "La garantía de los equipos dura tres lustros.", 0.3, 2},
		"less of what is new":       {question, "La garantía de los equipos del contrato dura tres lustros de trabajo.", 0.3, 0},
		"nothing new":               {question, "No, la garantía de los equipos no dura.", 0.9, 0},
		"yes":                       {"¿Cubre la garantía piezas y mano de obra?", "Sí, la garantía cubre piezas y mano de obra.", 0.3, 2},
		"no":                        {"¿Cubre la garantía piezas y mano de obra?", "No, la garantía no cubre piezas ni mano de obra.", 0.9, 0},
		"one of two":                {"¿La garantía dura dos años o tres años?", "La garantía dura tres años.", 0.3, 2},
		"the other of two":          {"¿La garantía dura dos años o tres años?", "La garantía dura dos años.", 0.9, 0},
		"list":                      {question, "1. Tres años desde la entrega\n2. Piezas y mano de obra", 0.3, 2},
		"list, bold":                {question, "**1.** Tres años desde la entrega\n**2. Piezas** y mano de obra", 0.3, 2},
		"a name":                    {"¿Quién es el proveedor?", "Tecnologías Ñandú.", 0.9, 2},
		"a name, hardly":            {"¿Quién es el proveedor?", "Tecnologías Ñandú.", 0.6, 0},
		"another name":              {"¿Quién es el proveedor?", "Tecnologías Kessler.", 0.9, 0},
		"a name of something else":  {"¿Quién es el proveedor?", "Begoña Ibáñez.", 0.9, 0},
		"one word":                  {question, "Tres.", 0.9, 2},
		"one word of many":          {"¿Cuánto dura la garantía?", "Naturales.", 0.9, 0},
		"nothing":                   {question, "[7]", 0.9, 0},
		"a figure":                  {question, "It costs 1250.75.", 0.3, 2},
		"the question's figure":     {"¿Qué son 45 días?", "45 is a period.", 0.3, 0},
		"a figure of the place":     {question, "The bylaw 777 says it.", 0.3, 1},
		"a figure of two passages":  {question, "Only 2031/B.", 0.3, 2},
		"a figure, cited elsewhere": {question, "Only 2031/B [3].", 0.3, 0},
	} {
		passages := passagesOf(c.confidence, library, contract, "Contrato 2031/B, segunda parte")
		passages[0].Place = "Ordenanza 777"
		if got := newClaim(c.question, c.answer).missing(passages); got != c.want {
			t.Errorf("%s: passage %d, want %d", name, got, c.want)
		}
	}
	far := passagesOf(0.3, contract, library, "Contrato 2031/B, segunda parte")
	if got := newClaim(question, "Only 2031/B.").missing(far); got != 0 {
		t.Errorf("of two passages that are no neighbours %d is taken", got)
	}
	twice := passagesOf(0.3, contract, contract+" Contados.")
	if got := newClaim(question, "La garantía de los equipos dura tres años naturales contados [1].").missing(twice); got != 0 {
		t.Errorf("beside a passage that is cited and says it, %d is taken", got)
	}
	others := passagesOf(0.3, library, contract, "Contrato 2031/B, segunda parte")
	others[2].hit.Source.ID = "otro"
	if got := newClaim(question, "Only 2031/B.").missing(others); got != 0 {
		t.Errorf("of passages of two documents %d is taken", got)
	}
}

func TestRests(t *testing.T) {
	for name, c := range map[string]struct {
		answer     string
		confidence float64
		want       bool
	}{
		"cited":                         {"Es larga [2].", 0.3, true},
		"uncited":                       {"Es larga.", 0.3, false},
		"figure of a passage":           {"Son 45 días [2].", 0.3, true},
		"figure of none":                {"Son 46 días [2].", 0.3, false},
		"figure of none, sure":          {"Son 46 días [2].", 0.7, true},
		"single digit":                  {"Son 7 noches [2].", 0.3, true},
		"sum, of what the passage says": {"Con la penalización, el precio asciende a 1.256,95 [2].", 0.3, true},
		"sum, of what was asked":        {"La garantía de los equipos dura 1.256,95 [2].", 0.3, false},
		"sum, cited wrong":              {"Con la penalización, el precio asciende a 1.256,95 [1].", 0.3, false},
		"no mark":                       {"Es larga [ 00000000000000000000000000002].", 0.3, false},
	} {
		w := newWriter(&session{passages: passagesOf(c.confidence, library, contract), asked: "¿Cuánto dura la garantía de los equipos?"}, 2)
		if got := w.rests(newClaim(w.asked, c.answer)); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestAbsent(t *testing.T) {
	for _, c := range []struct{ answer, text, absent string }{
		{"1.250 €", "1.250,00 euros", ""},
		{"1.250,00 €", "1250 euros", ""},
		{"1.250,50 €", "1.250,00 euros", "1.250,50"},
		{"a las 09:30", "a las 9:30", ""},
		{"a las 9:00", "a las nueve", ""},
		{"0,5 %", "5 %", "0,5"},
		{"15 %", "0,15 %", "15"},
		{"0 %", "21 %", "0"},
		{"0,5 %", "0.5 %", ""},
		{"a las 9:00", "a las 9 y a las 00", ""},
		{"Sala 3 (120 personas)", "En la sala 3 caben 120 personas", ""},
		{"100-200 invitados", "entre 100 y 200 invitados", ""},
		{"101, 102 y 103", "101 (norte), 102 (sur) y 103 (este)", ""},
		{"120m²", "120 m²", ""},
		{"120 m2", "120m²", ""},
		{"45.900", "45 900 habitantes", ""},
		{"17 786 419", "17.786.419", ""},
		{"2027 300", "2027", "300"},
		{"100 %", "21 por ciento", "100"},
		{"1 año", "un año", "1"},
		{"2 años", "two years", ""},
		{"21 días", "veintiún días", ""},
		{"35 días", "treinta y cinco días", ""},
		{"35 days", "thirty-five days", ""},
		{"31 días", "treinta y un días", ""},
		{"36 días", "treinta y cinco", "36"},
		{"1060", "sixty thousand", "1060"},
		{"500 €", "quinientos euros", ""},
		{"777 y 777", "778", "777"},
	} {
		if got := strings.Join(absent(figures(c.answer), c.text), " "); got != c.absent {
			t.Errorf("%q in %q: %q is absent, want %q", c.answer, c.text, got, c.absent)
		}
	}
}

var markOf = regexp.MustCompile(`\[(\d+)\]`)

// Whatever a model writes, and in whatever pieces: what is streamed is the answer, its numbers are its citations, and
// the pieces make no difference.
func TestAnyAnswer(t *testing.T) {
	parts := []string{
		"La garantía de los equipos dura ", "tres años", "30 años", " desde la entrega", ". ", ".", "\n", "! ", "…", " [1]", "[2]", " [9]", "[1, 2]", "[", "]", "**", "- ", "1. ",
		"No encuentro la respuesta en los documentos", "No ", "Los documentos ", "no mencionan", "París es la capital", "1.250,75 €", "Begoña Ibáñez", "45", "900", " 000", "0,5", "«", "»", "。", "ñ", " ", "I ",
		"The passages do not say", "Sin embargo, ", strings.Repeat("mucho más de todo eso ", 8),
	}
	rapid.Check(t, func(t *rapid.T) {
		reply := strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 12).Draw(t, "reply"), "")
		hits := []retrieval.Hit{hit("horario", library, rapid.SampledFrom([]float64{0.3, 0.9}).Draw(t, "first")), hit("contrato", contract, rapid.SampledFrom([]float64{0.3, 0.9}).Draw(t, "second"))}
		var want string
		for _, pieces := range [][]string{{reply}, strings.Split(reply, ""), cutAt(reply, rapid.SliceOfN(rapid.IntRange(0, len(reply)), 0, 6).Draw(t, "cuts"))} {
			streamed := ""
			var done *Answer
			for e, err := range newAnswerer(&fakeIndex{language: es, hits: hits}, pieced(pieces)).Ask(t.Context(), Question{Text: "¿Cuánto dura la garantía de los equipos?"}) {
				if err != nil {
					t.Fatal(err)
				}
				streamed += e.Text
				done = e.Done
			}
			if done == nil || done.Text != streamed {
				t.Fatalf("%q streamed %q, then %+v", reply, streamed, done)
			}
			var shown []int
			for _, m := range markOf.FindAllStringSubmatch(streamed, -1) {
				if n, _ := strconv.Atoi(m[1]); !slices.Contains(shown, n) {
					shown = append(shown, n)
				}
			}
			slices.Sort(shown)
			if got := numbers(done.Citations); !slices.Equal(got, shown) {
				t.Fatalf("%q shows %v and cites %v: %q", reply, shown, got, streamed)
			}
			got := fmt.Sprintf("%s %v %q %q", done.Mode, done.Abstained, done.Text, done.Warnings)
			if want == "" {
				want = got
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%q in pieces %q:\n%s", reply, pieces, diff)
			}
		}
	})
}

// cutAt cuts s at some bytes.
func cutAt(s string, at []int) []string {
	var out []string
	slices.Sort(at)
	from := 0
	for _, i := range append(at, len(s)) {
		out, from = append(out, s[from:i]), i
	}
	return out
}
