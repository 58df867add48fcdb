package ollama

import (
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/retrieval"
	"github.com/acervo-kb/acervo/retrieval/answer"
)

// real is the configuration of a real server with the model that variable names.
func real(t testing.TB, variable string) Config {
	t.Helper()
	url, model := os.Getenv("ACERVO_TEST_OLLAMA_URL"), os.Getenv(variable)
	if url == "" || model == "" {
		t.Skipf("needs a real Ollama: ACERVO_TEST_OLLAMA_URL or %s is not set", variable)
	}
	return Config{URL: url, Model: model}
}

func TestRealEmbedder(t *testing.T) {
	e := embedder(t, real(t, "ACERVO_TEST_EMBEDDER"))
	texts := []string{"La garantía dura tres años.", "El gato duerme en el tejado.", "The warranty lasts three years."}
	vectors, err := e.EmbedPassages(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	query, err := e.EmbedQuery(t.Context(), "¿Qué plazo tiene la garantía?")
	if err != nil {
		t.Fatal(err)
	}
	if same, other := cosine(query, vectors[0]), cosine(query, vectors[1]); same <= other {
		t.Errorf("similarity to the answer %.3f, to something else %.3f", same, other)
	}
	long := append(texts, strings.Repeat("palabra ", 20_000))
	if _, err := e.EmbedPassages(t.Context(), long); !errors.Is(err, retrieval.ErrTooLong) {
		t.Errorf("a text too long: %v", err)
	}
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}

func TestRealGenerator(t *testing.T) {
	cfg := real(t, "ACERVO_TEST_LLM")
	g := generator(t, cfg)
	r := answer.Request{Messages: []answer.Message{{Role: answer.User, Content: "Responde solo: hola"}}, MaxTokens: 8}
	if _, _, _, err := collect(t.Context(), g, r); err != nil {
		t.Fatal(err)
	}
	text, _, usage, err := collect(t.Context(), g, r)
	if err != nil || text == "" || usage == nil {
		t.Fatalf("text %q, usage %v, error %v", text, usage, err)
	}
	if usage.PromptTokens < 5 || usage.CompletionTokens == 0 || usage.Truncated || usage.Reloaded {
		t.Errorf("the second call: %+v", usage)
	}
	r.Messages[0].Content = strings.Repeat("palabra ", 20_000)
	if _, _, _, err := collect(t.Context(), g, r); !errors.Is(err, answer.ErrUnavailable) {
		t.Errorf("a prompt longer than the context: %v, want an error rather than a prompt cut in silence", err)
	}
}

func TestRealCheck(t *testing.T) {
	cfg := real(t, "ACERVO_TEST_EMBEDDER")
	if s := Check(t.Context(), cfg); !s.Present || s.Context == 0 || s.Version == "" || s.Err != nil {
		t.Errorf("%+v", s)
	}
	cfg.Model = "no-such-model"
	if s := Check(t.Context(), cfg); s.Present || s.Mend != "ollama pull no-such-model" {
		t.Errorf("%+v", s)
	}
}

// The server lists what is on its disk, with sizes, for a smaller model to be chosen from.
func TestRealModels(t *testing.T) {
	cfg := real(t, "ACERVO_TEST_LLM")
	e, err := NewEngine(cfg)
	if err != nil {
		t.Fatal(err)
	}
	list, err := e.Models(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(m hwplan.Stored) bool { return tagged(m.Name) == tagged(cfg.Model) })
	if i < 0 || list[i].Bytes < 100e6 {
		t.Errorf("%+v", list)
	}
}
