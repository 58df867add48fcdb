package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/acervo-kb/acervo/retrieval"
	"github.com/acervo-kb/acervo/retrieval/chromem"
	"github.com/acervo-kb/acervo/retrieval/ollama"
)

var words = strings.Fields("agua puente motor bosque libro carta torre viento piedra camino luna sal hierro trigo barco mapa reloj puerta contrato plazo garantía factura renta aval fianza entrega")

// passages are n chunks of one source, each with a code of its own.
func passages(source string, n, words int, rng *rand.Rand) []retrieval.Chunk {
	chunks := make([]retrieval.Chunk, n)
	for i := range chunks {
		text := fmt.Sprintf("Ficha %s-%d. %s.", source, i, strings.Join(pick(words, rng), " "))
		chunks[i] = retrieval.Chunk{
			ID: fmt.Sprintf("%s.%d", source, i), N: i, Text: text, Language: "es", Tokens: 2 * words,
			Location: retrieval.Location{Kind: "chars", End: len(text)},
		}
	}
	return chunks
}

func pick(n int, rng *rand.Rand) []string {
	picked := make([]string, n)
	for i := range picked {
		picked[i] = words[rng.IntN(len(words))]
	}
	return picked
}

// fillIndex gives the library's index 100 sources of n/100 passages, and waits for their vectors.
func fillIndex(b *testing.B, index *retrieval.Index, n int) {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	var g errgroup.Group
	g.SetLimit(16)
	for i := range 100 {
		id := fmt.Sprintf("s%03d", i)
		chunks := passages(id, n/100, 60, rng)
		g.Go(func() error {
			return index.Replace(b.Context(), retrieval.Source{ID: id, Title: id, Paths: []string{id + ".txt"}, Language: "es"}, chunks)
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	for index.Stats().Vectors < n {
		time.Sleep(10 * time.Millisecond)
	}
}

// BenchmarkQuestionOverhead is the time from a question at the HTTP port to
// the request at the language model's, over 10,000 chunks of 768 dimensions.
// The embedder answers at once, so what is measured is ours.
func BenchmarkQuestionOverhead(b *testing.B) {
	n := 10_000
	if testing.Short() {
		n = 1_000
	}
	engine := newFakeEngine(b, 768)
	dir := b.TempDir()
	cfg, _, err := loadConfig(overrides{docs: dir + "/docs", data: dir + "/data", set: engine.settings()})
	if err != nil {
		b.Fatal(err)
	}
	l, a := benchLibrary(b, cfg)
	fillIndex(b, a.index, n)
	var overhead time.Duration
	for b.Loop() {
		start := time.Now()
		answer := l.ask(b, "¿Qué plazo de garantía tiene la ficha s042-7 del puente?")
		overhead += engine.lastChat().Sub(start)
		if answer.Mode != "generated" {
			b.Fatalf("%+v", answer)
		}
	}
	b.ReportMetric(float64(overhead.Microseconds())/1000/float64(b.N), "ms-to-llm/op")
}

// benchLibrary serves a configuration over a pipe, without watching a folder, so that the index holds what it is given.
func benchLibrary(b *testing.B, cfg Config) (*library, *app) {
	b.Helper()
	done := make(chan struct{})
	a, err := open(b.Context(), cfg, slog.New(slog.DiscardHandler), done)
	if err != nil {
		b.Fatal(err)
	}
	local := localServer(b.Context(), a, done, looking)
	b.Cleanup(func() {
		if err := local.stop(); err != nil {
			b.Error(err)
		}
	})
	return &library{client: local.client, docs: cfg.Docs, data: cfg.Data}, a
}

// BenchmarkIngestVersusEmbedder embeds the same passages through the index and
// by the bare embedder, in one run: "ratio" is the index's share of the bare rate.
func BenchmarkIngestVersusEmbedder(b *testing.B) {
	url := os.Getenv("ACERVO_TEST_OLLAMA_URL")
	if url == "" {
		b.Skip("needs a real Ollama: ACERVO_TEST_OLLAMA_URL is not set")
	}
	embedder, err := ollama.NewEmbedder(ollama.Config{URL: url, Model: os.Getenv("ACERVO_TEST_EMBEDDER")})
	if err != nil {
		b.Fatal(err)
	}
	const n = 96
	rng := rand.New(rand.NewPCG(3, uint64(time.Now().UnixNano())))
	if _, err := embedder.EmbedQuery(b.Context(), "loads the model"); err != nil {
		b.Fatal(err)
	}
	var bare, indexed time.Duration
	for b.Loop() {
		chunks := passages("s", n, 120, rng)
		start := time.Now()
		for i := 0; i < n; i += 8 {
			texts := make([]string, 8)
			for j := range texts {
				texts[j] = chunks[i+j].Indexed()
			}
			if _, err := embedder.EmbedPassages(b.Context(), texts); err != nil {
				b.Fatal(err)
			}
		}
		bare += time.Since(start)
		indexed += ingestOnce(b, embedder, passages("s", n, 120, rng))
	}
	b.ReportMetric(float64(n*b.N)/bare.Seconds(), "bare-chunks/s")
	b.ReportMetric(float64(n*b.N)/indexed.Seconds(), "index-chunks/s")
	b.ReportMetric(bare.Seconds()/indexed.Seconds(), "ratio")
}

// ingestOnce is how long a fresh index takes from chunks to stored vectors.
func ingestOnce(b *testing.B, embedder retrieval.Embedder, chunks []retrieval.Chunk) time.Duration {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	index, err := retrieval.Open(ctx, retrieval.Config{
		Dir: b.TempDir(), Embedder: embedder, NewVectors: func() retrieval.VectorStore { return chromem.New() }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- index.Run(ctx) }()
	start := time.Now()
	if err := index.Replace(ctx, retrieval.Source{ID: "s", Paths: []string{"s.txt"}, Language: "es"}, chunks); err != nil {
		b.Fatal(err)
	}
	for index.Stats().Vectors < len(chunks) {
		time.Sleep(time.Millisecond)
	}
	took := time.Since(start)
	cancel()
	<-ended
	if err := index.Close(); err != nil {
		b.Fatal(err)
	}
	return took
}
