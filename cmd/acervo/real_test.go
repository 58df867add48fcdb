package main

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"
)

// realEngines returns the settings for the test bed's Ollama, or skips.
func realEngines(t *testing.T) []string {
	t.Helper()
	url := os.Getenv("ACERVO_TEST_OLLAMA_URL")
	if url == "" {
		t.Skip("needs a real Ollama: ACERVO_TEST_OLLAMA_URL is not set")
	}
	return []string{
		"llm.provider=ollama", "llm.url=" + url, "llm.model=" + os.Getenv("ACERVO_TEST_LLM"),
		"embedder.provider=ollama", "embedder.url=" + url, "embedder.model=" + os.Getenv("ACERVO_TEST_EMBEDDER"),
	}
}

// loads counts the model loads in Ollama's own log.
func loads(t *testing.T) int {
	t.Helper()
	raw, err := os.ReadFile(os.Getenv("ACERVO_TEST_OLLAMA_LOG"))
	if err != nil {
		t.Fatal(err)
	}
	return len(regexp.MustCompile(`msg="starting (?:runner|llama-server)"`).FindAll(raw, -1))
}

// Fifty questions, a new document before each, and not one model load after the first of each model.
func TestNoModelReloads(t *testing.T) {
	settings := realEngines(t)
	l := serveLibrary(t, emptyPlace(t), settings...)
	l.write(t, "0.txt", "La torre 0 mide 10 metros.")
	l.settle(t, 1, true)
	l.ask(t, "¿Cuánto mide la torre 0?")
	before, start := loads(t), time.Now()
	generated, cited := 0, 0
	for i := 1; i <= 50; i++ {
		l.write(t, fmt.Sprintf("%d.txt", i), fmt.Sprintf("La torre %d mide %d metros y la construyó el maestro número %d.", i, 10+i, i*7))
		var a queried
		body := map[string]any{"question": fmt.Sprintf("¿Cuánto mide la torre %d?", i-1), "k": 2}
		if err := l.call(t.Context(), http.MethodPost, "/api/v1/query", body, &a); err != nil {
			t.Fatal(err)
		}
		if a.Mode == "generated" {
			generated++
		}
		if len(a.Citations) > 0 {
			cited++
		}
		if a.Usage.Truncated {
			t.Errorf("question %d was truncated", i)
		}
	}
	l.settle(t, 51, true)
	if n := loads(t) - before; n != 0 {
		t.Errorf("%d model loads over 50 questions mixed with ingestion, want 0", n)
	}
	if generated < 50 {
		t.Errorf("only %d of 50 answers were written by the model", generated)
	}
	t.Logf("50 questions and 50 documents in %s, %d answers cited, 0 loads", time.Since(start).Round(time.Second), cited)
}

// A question finds its passage across languages, and the answer cites it.
func TestRealAnswers(t *testing.T) {
	settings := realEngines(t)
	if full := os.Getenv("ACERVO_TEST_LLM_FULL"); full != "" {
		settings = append(settings, "llm.model="+full)
	}
	l := serveLibrary(t, emptyPlace(t), settings...)
	l.write(t, "contrato.md", "# Contrato\n\n## Garantía\n\nLa garantía de los equipos dura tres años desde la entrega y cubre piezas y mano de obra.\n\n## Plazo\n\nLos equipos se entregarán en 45 días naturales.\n")
	l.write(t, "handbook.txt", "Observatory handbook\n\nThe dome must be closed when the wind exceeds 54 kilometres per hour.\n\nLiquid nitrogen is delivered by the Kessler company.\n")
	l.settle(t, 2, true)
	for _, test := range []struct{ question, path string }{
		{"¿Cuánto dura la garantía de los equipos?", "contrato.md"},
		{"How long does the warranty last?", "contrato.md"},
		{"¿Qué empresa entrega el nitrógeno líquido?", "handbook.txt"},
	} {
		var found struct {
			Hits []struct{ Document foundDocument }
		}
		if err := l.call(t.Context(), http.MethodPost, "/api/v1/search", map[string]any{"query": test.question, "k": 3}, &found); err != nil {
			t.Fatal(err)
		}
		if len(found.Hits) == 0 || found.Hits[0].Document.Path != test.path {
			t.Errorf("%s finds %+v first, want %s", test.question, found.Hits, test.path)
		}
		a := l.ask(t, test.question)
		if a.Mode != "generated" || a.Usage.PromptTokens == 0 || a.Usage.Truncated {
			t.Errorf("%s: %+v", test.question, a)
		}
		used := regexp.MustCompile(`\[(\d+)\]`).FindAllStringSubmatch(a.Answer, -1)
		for _, c := range a.Citations {
			if !slices.ContainsFunc(used, func(m []string) bool { return m[1] == fmt.Sprint(c.N) }) {
				t.Errorf("%s: citation %d is not in the answer %q", test.question, c.N, a.Answer)
			}
		}
		t.Logf("%s\n%s", test.question, a.Answer)
	}
}
