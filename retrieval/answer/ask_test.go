package answer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/acervo-kb/acervo/retrieval"
)

func kinds(all []Event) string {
	var out []string
	for _, e := range all {
		k := "?"
		switch {
		case e.Done != nil:
			k = "done"
		case e.Citations != nil:
			k = "citations"
		case e.Sources != nil:
			k = "sources"
		case e.Text != "":
			k = "text"
		}
		if len(out) == 0 || out[len(out)-1] != k {
			out = append(out, k)
		}
	}
	return strings.Join(out, " ")
}

func numbers(citations []Citation) []int {
	out := []int{}
	for _, c := range citations {
		out = append(out, c.N)
	}
	return out
}

func TestGenerated(t *testing.T) {
	x := &fakeIndex{language: "es", hits: []retrieval.Hit{hit("contrato", contract, 0.9), hit("horario", library, 0.3)}}
	m := &fakeModel{reply: "Según el documento [1], así es. Otra fuente [99].", usage: Usage{PromptTokens: 100, CompletionTokens: 10, Context: 8192}}
	all, text := events(t, newAnswerer(x, m), Question{Text: "¿Cuánto dura la garantía?"})
	if got, want := kinds(all), "sources text citations done"; got != want {
		t.Errorf("events %s, want %s", got, want)
	}
	done := all[len(all)-1].Done
	if want := "Según el documento [1], así es. Otra fuente."; text != want || done.Text != want {
		t.Errorf("streamed %q, done %q, want %q", text, done.Text, want)
	}
	if diff := cmp.Diff([]int{1}, numbers(done.Citations)); diff != "" {
		t.Error(diff)
	}
	if done.Mode != Generated || done.Abstained || done.Language != "es" || done.LLM != "fake" || len(done.Warnings) != 0 || done.Usage != m.usage {
		t.Errorf("%+v", done)
	}
	if x.prefers != 0 || x.preferOf != 1 {
		t.Errorf("Prefer called %d times, %d not done", x.preferOf, x.prefers)
	}
	if r := m.requests[0]; !strings.Contains(fmt.Sprint(r.Messages), "tres años") || r.MaxTokens != maxAnswer {
		t.Errorf("request %+v", r)
	}
}

func TestForgottenCitation(t *testing.T) {
	hits := []retrieval.Hit{hit("horario", library, 0.3), hit("contrato", contract, 0.9)}
	hits[1].Chunk.Language = es
	for name, c := range map[string]struct {
		reply, want string
		cited       []int
		warned      bool
	}{
		"none":         {"La garantía de los equipos dura tres años desde la entrega.", "La garantía de los equipos dura tres años desde la entrega. [2]", []int{2}, false},
		"wrong":        {"La garantía de los equipos dura tres años desde la entrega [1].", "La garantía de los equipos dura tres años desde la entrega [1]. [2]", []int{1, 2}, false},
		"right":        {"La garantía de los equipos dura tres años [2].\n", "La garantía de los equipos dura tres años [2].", []int{2}, false},
		"made up":      {"La garantía dura 30 años [2].", "La garantía dura 30 años [2].", []int{2}, true},
		"of old":       {"De los 45 días del punto 3 [2].", "De los 45 días del punto 3 [2].", []int{2}, false},
		"other tongue": {"The price is 1.250,75 euros.", "The price is 1.250,75 euros. [2]", []int{2}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Collect(newAnswerer(&fakeIndex{language: "es", hits: hits}, &fakeModel{reply: c.reply}).Ask(t.Context(), Question{Text: "¿Cuánto dura la garantía?"}))
			if err != nil {
				t.Fatal(err)
			}
			if got.Text != c.want || !cmp.Equal(c.cited, numbers(got.Citations)) || (len(got.Warnings) > 0) != c.warned {
				t.Errorf("%q, cites %v, warns %q", got.Text, numbers(got.Citations), got.Warnings)
			}
		})
	}
}

// What a model writes and no passage bears does not reach the reader: the passages are quoted where they are surely to
// the point, and otherwise it is said that they do not hold the answer.
func TestUnbacked(t *testing.T) {
	const quoted = "«La garantía de los equipos dura tres años desde la entrega y cubre piezas y mano de obra.» [2]"
	for name, c := range map[string]struct {
		reply      string
		confidence float64
		want       string
	}{
		"wrong number":       {"La garantía de los equipos dura 30 años.", 0.9, quoted},
		"two passages'":      {"Between 14 and 1.250,75.", 0.9, quoted},
		"own knowledge":      {"El primer presidente de Francia fue Charles de Gaulle, que llegó a la presidencia en 1958.", 0.9, quoted},
		"repeats":            {"La garantía de los equipos del contrato de Francia dura lo que dijo Bonaparte.", 0.9, quoted},
		"no such passage":    {"París es la capital de Francia [7].", 0.9, quoted},
		"unsure":             {"París es la capital de Francia.", 0.6, noAnswer[es]},
		"unsure, cited":      {"[1] En 1969, el hombre llegó a la Luna.", 0.6, noAnswer[es]},
		"unsure, cited late": {"El hombre llegó a la Luna en 1969 [1].", 0.6, noAnswer[es]},
	} {
		x := &fakeIndex{language: "es", hits: []retrieval.Hit{hit("horario", library, c.confidence), hit("contrato", contract, c.confidence)}}
		all, text := events(t, newAnswerer(x, &fakeModel{reply: c.reply, usage: Usage{PromptTokens: 100}}), Question{Text: "¿Cuánto dura la garantía de los equipos?"})
		done := all[len(all)-1].Done
		mode := Extractive
		if c.want == noAnswer[es] {
			mode = Generated
		}
		if kinds(all) != "sources text citations done" || text != c.want || done.Text != c.want || done.Mode != mode || done.Abstained != (mode == Generated) {
			t.Errorf("%s: %s: %q, %+v", name, kinds(all), text, done)
		}
		if diff := cmp.Diff([]string{warnUnbacked[es]}, done.Warnings); diff != "" {
			t.Error(name, diff)
		}
	}

	// A sentence that says "no hay respuesta" within, and cites, is no refusal.
	for _, reply := range []string{"Si no hay respuesta del proveedor en 45 días [1], se descuenta el precio", "**Si no hay respuesta del proveedor en 45 días [1], se descuenta el precio.**"} {
		x := &fakeIndex{language: "es", hits: []retrieval.Hit{hit("contrato", contract, 0.9)}}
		if all, text := events(t, newAnswerer(x, &fakeModel{reply: reply}), Question{Text: "¿Qué pasa si no contesta el proveedor?"}); text != reply || all[len(all)-1].Done.Abstained {
			t.Errorf("%q became %q", reply, text)
		}
	}

	// A figure is in a passage however it is written there.
	for _, reply := range []string{"El plazo es de 15 días [1].", "El horario es de 9:00 a 14:00 [1].", "El horario empieza a las 9:00 [1]."} {
		x := &fakeIndex{language: "es", hits: []retrieval.Hit{hit("aviso", "El plazo es de quince días. El horario, de 9 a 14 h.", 0.6)}}
		if _, text := events(t, newAnswerer(x, &fakeModel{reply: reply}), Question{Text: "¿Y el plazo y el horario?"}); text != reply {
			t.Errorf("%q became %q", reply, text)
		}
	}

	// In another language than the passage's the one that is surely to the point is taken where it shares a name or number that was not asked.
	for name, c := range map[string]struct {
		reply, language string
		others          float64
		want            string
	}{
		"other tongue":  {"It lasts three years from delivery.", "es", 0.3, "It lasts three years from delivery. [2]"},
		"a name":        {"Begoña Ibáñez signs that.", "es", 0.3, "Begoña Ibáñez signs that. [2]"},
		"its own":       {"It lasts three years from delivery [1].", "es", 0.3, "It lasts three years from delivery [1]."},
		"own knowledge": {"Paris is the capital of France.", "es", 0.3, "«"},
		"repeats":       {"The warranty lasts as long as it lasts.", "es", 0.3, "«"},
		"false figure":  {"Begoña Ibáñez signs that in 30 days.", "es", 0.3, "«"},
		"any tongue":    {"Begoña Ibáñez signs that.", "", 0.3, "«"},
		"two sure ones": {"It lasts three years from delivery.", "es", 0.8, "«"},
		"same tongue":   {"It lasts three years from delivery.", "en", 0.3, "«"},
	} {
		hits := []retrieval.Hit{hit("horario", library, c.others), hit("contrato", contract, 0.8)}
		for i := range hits {
			hits[i].Chunk.Language = c.language
		}
		_, text := events(t, newAnswerer(&fakeIndex{language: "en", hits: hits}, &fakeModel{reply: c.reply}), Question{Text: "How long does the warranty last?"})
		if text != c.want && (c.want != "«" || !strings.HasPrefix(text, c.want)) {
			t.Errorf("%s: %q", name, text)
		}
	}

	// Nobody waits for all of a long one.
	long := strings.TrimSpace(strings.Repeat("palabra ", 100))
	x := &fakeIndex{language: "es", hits: []retrieval.Hit{hit("contrato", contract, 0.9)}}
	all, text := events(t, newAnswerer(x, &fakeModel{reply: long}), Question{Text: "¿Cuánto dura la garantía?"})
	if done := all[len(all)-1].Done; text != long || !cmp.Equal([]string{warnUncited[es]}, done.Warnings) || done.Mode != Generated {
		t.Errorf("%q, %+v", text, done)
	}
}

func TestAbstains(t *testing.T) {
	sure := []retrieval.Hit{hit("contrato", contract, 0.9)}
	for name, c := range map[string]struct {
		question, language string
		hits               []retrieval.Hit
		model              Generator
		mode, want         string
	}{
		"empty":             {"¿Cuánto dura la garantía?", "es", nil, nil, Extractive, noAnswer[es]},
		"empty, with model": {"How long is it?", "en", nil, &fakeModel{reply: "never asked"}, Extractive, noAnswer[en]},
		"common word":       {"¿Cuánto dura el vuelo de Madrid a Tokio?", "es", []retrieval.Hit{hit("contrato", contract, 0.3)}, nil, Extractive, noAnswer[es]},
		"hopeless":          {"What is the boiling point of tungsten?", "en", []retrieval.Hit{hit("contrato", contract, 0.1)}, &fakeModel{reply: "3422 °C [1]"}, Extractive, noAnswer[en]},
		"the model":         {"¿Y el IVA?", "es", sure, &fakeModel{reply: "No encuentro la respuesta en los documentos."}, Generated, noAnswer[es]},
		"in its words":      {"Is VAT included?", "en", sure, &fakeModel{reply: "I'm sorry, but the passages do not mention VAT.\n\nPlease ask the supplier."}, Generated, noAnswer[en]},
		"with a citation":   {"¿Y el IVA?", "", sure, &fakeModel{reply: "[1] No encuentro la respuesta en los documentos [1]."}, Generated, noAnswer[es]},
	} {
		t.Run(name, func(t *testing.T) {
			x := &fakeIndex{language: c.language, hits: c.hits}
			all, text := events(t, newAnswerer(x, c.model), Question{Text: c.question})
			done := all[len(all)-1].Done
			if kinds(all) != "sources text citations done" || text != c.want || done.Text != c.want || !done.Abstained || len(done.Citations) != 0 || done.Mode != c.mode {
				t.Errorf("%s: %q, %+v", kinds(all), text, done)
			}
		})
	}
}

func TestModelFails(t *testing.T) {
	x := &fakeIndex{language: "es", hits: []retrieval.Hit{hit("contrato", contract, 0.9)}}
	question := Question{Text: "¿Cuánto dura la garantía?"}

	for name, m := range map[string]*fakeModel{"error": {err: fmt.Errorf("out of memory: %w", ErrUnavailable)}, "silence": {}, "only marks": {reply: "[1], [1] [99]"}} {
		all, text := events(t, newAnswerer(x, m), question)
		done := all[len(all)-1].Done
		if kinds(all) != "sources text citations done" || done.Mode != Extractive || len(done.Warnings) != 1 || !strings.Contains(text, "tres años") || !cmp.Equal([]int{1}, numbers(done.Citations)) {
			t.Errorf("%s: %s: %+v", name, kinds(all), done)
		}
	}

	cut := &fakeModel{reply: "Dura tres años [1] y ", err: errors.New("connection reset")}
	var partial *PartialError
	text := ""
	for e, err := range newAnswerer(x, cut).Ask(t.Context(), question) {
		text += e.Text
		if err != nil && !errors.As(err, &partial) {
			t.Fatal(err)
		}
	}
	if partial == nil || partial.Answer.Text != text || text != "Dura tres años [1] y" || !cmp.Equal([]int{1}, numbers(partial.Answer.Citations)) || !errors.Is(partial, cut.err) {
		t.Errorf("streamed %q, partial %+v", text, partial)
	}
	for reply, cited := range map[string][]int{"Según": {}, "[1] No encuentro la respuesta en los documentos": {1}} {
		got, err := Collect(newAnswerer(x, &fakeModel{reply: reply + " ", err: errors.New("connection reset")}).Ask(t.Context(), question))
		if err != nil || got.Text != reply || got.Mode != Generated || !cmp.Equal(cited, numbers(got.Citations)) || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "connection reset") {
			t.Errorf("%v %+v", err, got)
		}
	}
}

// A loadingModel has room for less once it is loaded.
type loadingModel struct{ *fakeModel }

func (m loadingModel) Ready(context.Context) bool {
	m.context = 2048
	return true
}

// What has no room in the context that a model turns out to have is left out; one that stands in for the configured model is named.
func TestStandIn(t *testing.T) {
	var hits []retrieval.Hit
	for i := range 6 {
		hits = append(hits, hit(fmt.Sprint("contrato", i), strings.Repeat("La garantía dura tres años. ", 60), 0.9))
	}
	m := loadingModel{&fakeModel{reply: "Dura tres años [1].", usage: Usage{Context: 2048, InPlaceOf: "qwen2.5:7b"}}}
	got, err := Collect(newAnswerer(&fakeIndex{language: "es", hits: hits}, m).Ask(t.Context(), Question{Text: "¿Cuánto dura la garantía?"}))
	if err != nil || !got.Usage.Reloaded || got.Mode != Generated {
		t.Fatalf("%v %+v", err, got)
	}
	sent := 0
	for _, message := range m.requests[0].Messages {
		sent += len(strings.Fields(message.Content))
	}
	if sent > 2048 {
		t.Errorf("%d words for a context of 2048 tokens", sent)
	}
	if w := strings.Join(got.Warnings, "\n"); !strings.Contains(w, "se han dejado fuera") || !strings.Contains(w, "Ha respondido fake en lugar de qwen2.5:7b") {
		t.Errorf("warnings: %s", w)
	}

	// What was left out vouches for nothing.
	hits[5].Chunk.Text = strings.Repeat("Los equipos se entregan en Zamora. ", 60)
	m = loadingModel{&fakeModel{reply: "En Zamora se entregan los equipos."}}
	if got, err := Collect(newAnswerer(&fakeIndex{language: "es", hits: hits}, m).Ask(t.Context(), Question{Text: "¿Cuánto dura la garantía?"})); err != nil || len(got.Citations) == 0 || got.Citations[len(got.Citations)-1].N == 6 {
		t.Errorf("%v %+v", err, got)
	}
}

func TestLeaving(t *testing.T) {
	x := &fakeIndex{hits: []retrieval.Hit{hit("contrato", contract, 0.9)}}
	m := &fakeModel{reply: "Una palabra [1]" + strings.Repeat(" palabra", 50)}
	for e := range newAnswerer(x, m).Ask(t.Context(), Question{Text: "¿Cuánto dura la garantía?"}) {
		if e.Text != "" {
			break
		}
	}
	if m.ended != 1 || x.prefers != 0 {
		t.Errorf("generations ended: %d, Prefer not done: %d", m.ended, x.prefers)
	}

	ctx, cancel := context.WithCancel(t.Context())
	var last error
	for _, err := range newAnswerer(x, &canceller{cancel: cancel}).Ask(ctx, Question{Text: "¿Cuánto dura la garantía?"}) {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("cancelled, and it ends with %v", last)
	}
}

func TestSearchFails(t *testing.T) {
	broken := errors.New("broken")
	if _, err := Collect(newAnswerer(&fakeIndex{err: broken}, nil).Ask(t.Context(), Question{Text: "?"})); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestLanguage(t *testing.T) {
	english := hit("handbook", handbook, 0.9)
	english.Chunk.Language = "en"
	for _, c := range []struct {
		question, found string
		hits            []retrieval.Hit
		want            string
	}{
		{"garantía", "", nil, "es"}, {"how long", "", nil, "en"}, {"4417", "", []retrieval.Hit{english}, "en"}, {"4417", "", nil, "es"}, {"x", "en", nil, "en"},
	} {
		x := &fakeIndex{language: c.found, hits: c.hits}
		if got, err := Collect(newAnswerer(x, nil).Ask(t.Context(), Question{Text: c.question})); err != nil || got.Language != c.want {
			t.Errorf("%q: %s, want %s (%v)", c.question, got.Language, c.want, err)
		}
	}
}

func TestUsageWarns(t *testing.T) {
	long := strings.Repeat("La garantía de los equipos dura tres años. ", 80)
	hits := []retrieval.Hit{hit("a", long, 0.9), hit("b", long, 0.9), hit("c", long, 0.9), hit("d", long, 0.9)}
	for name, c := range map[string]struct {
		usage Usage
		warns int
		cut   bool
	}{
		"whole":            {Usage{PromptTokens: 2600}, 0, false},
		"not counted":      {Usage{}, 0, false},
		"fewer than a cut": {Usage{PromptTokens: 100}, 0, false}, // a stub, or a server that counts only what it had not in its cache
		"cut":              {Usage{PromptTokens: 1100}, 1, true},
		"said":             {Usage{PromptTokens: 2600, Truncated: true}, 1, true},
		"long answer":      {Usage{PromptTokens: 2600, CompletionTokens: maxAnswer}, 1, false},
	} {
		m := &fakeModel{reply: "La garantía de los equipos dura tres años [1].", usage: c.usage}
		got, err := Collect(newAnswerer(&fakeIndex{language: "es", hits: hits}, m).Ask(t.Context(), Question{Text: "¿Cuánto dura la garantía?"}))
		if err != nil || len(got.Warnings) != c.warns || got.Usage.Truncated != c.cut {
			t.Errorf("%s: %v %q %+v", name, err, got.Warnings, got.Usage)
		}
	}
}

// A spoken error can say itself to a user.
type spoken struct{ error }

func (spoken) In(language string) string { return "dicho en " + language }

// What the user is told of a model that fails is in the question's language, and holds nothing that is for the log.
func TestFailureIsSaid(t *testing.T) {
	x := &fakeIndex{language: "es", hits: []retrieval.Hit{hit("contrato", contract, 0.9)}}
	for want, failure := range map[string]error{
		"así que se citan los pasajes: dicho en es":                  fmt.Errorf("%w: %w", ErrUnavailable, spoken{errors.New("dial tcp")}),
		"así que se citan los pasajes; `acervo doctor` dice por qué": fmt.Errorf("%w: dial tcp", ErrUnavailable),
	} {
		got, err := Collect(newAnswerer(x, &fakeModel{err: failure}).Ask(t.Context(), Question{Text: "¿Cuánto dura la garantía?"}))
		if err != nil || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], want) || strings.Contains(got.Warnings[0], "dial") {
			t.Errorf("%v is told as %q, %v", failure, got.Warnings, err)
		}
	}
}

// terse is a model that first gives a number and no word.
type terse struct{ fakeModel }

func (m *terse) Generate(ctx context.Context, r Request) iter.Seq2[Delta, error] {
	if m.reply = " [1]."; len(m.requests) > 0 {
		m.reply = "Dura tres años [1]."
	}
	return m.fakeModel.Generate(ctx, r)
}

func TestAskedAgain(t *testing.T) {
	x, m := &fakeIndex{hits: []retrieval.Hit{hit("contrato", contract, 0.9)}}, &terse{}
	got, err := Collect(newAnswerer(x, m).Ask(t.Context(), Question{Text: "¿Cuánto dura la garantía?"}))
	if err != nil || got.Mode != Generated || got.Text != "Dura tres años [1]." || len(got.Warnings) > 0 || !cmp.Equal([]int{1}, numbers(got.Citations)) {
		t.Errorf("%+v, %v", got, err)
	}
	if n := len(m.requests); n != 2 {
		t.Fatalf("asked %d times, want 2", n)
	}
	first, again := m.requests[0].Messages, m.requests[1].Messages
	last := len(first) - 1
	if !cmp.Equal(first[:last], again[:last]) || !strings.HasPrefix(again[last].Content, first[last].Content) || !strings.Contains(again[last].Content, "frase completa") {
		t.Errorf("asked again: %q", again[last].Content)
	}

	silent := &fakeModel{reply: "[1]"}
	if got, err := Collect(newAnswerer(x, silent).Ask(t.Context(), Question{Text: "¿Cuánto dura la garantía?"})); err != nil || got.Mode != Extractive || len(silent.requests) != 2 {
		t.Errorf("%+v, %v, asked %d times", got, err, len(silent.requests))
	}
}
