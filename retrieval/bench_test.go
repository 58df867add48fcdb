package retrieval_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/retrieval"
)

// gauss is an embedder that costs nothing: random vectors of 768 dimensions, the same for the same text.
type gauss struct{}

func (gauss) Model() string { return "gauss" }

func (g gauss) EmbedPassages(ctx context.Context, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	for i, text := range texts {
		out[i], _ = g.EmbedQuery(ctx, text)
	}
	return out, nil
}

func (gauss) EmbedQuery(_ context.Context, text string) ([]float32, error) {
	var seed uint64
	for _, b := range []byte(text) {
		seed = seed*31 + uint64(b)
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	v := make([]float32, 768)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return v, nil
}

// fill indexes n chunks of about 800 bytes, in documents of 100, and waits for their vectors.
func fill(b *testing.B, x *retrieval.Index, n int) {
	b.Helper()
	rng := rand.New(rand.NewPCG(7, 7))
	for d := range n / 100 {
		chunks := make([]retrieval.Chunk, 100)
		for i := range chunks {
			chunks[i] = retrieval.Chunk{Text: prose(rng, 120), Language: []string{"es", "en"}[d%2]}
		}
		id := fmt.Sprint("d", d)
		if err := x.Replace(b.Context(), source(id, id+".txt", "es"), chunks); err != nil {
			b.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx) }()
	for s := x.Stats(); s.Vectors < s.Chunks; s = x.Stats() {
		time.Sleep(50 * time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

// prose draws words by Zipf's law, as language does.
func prose(rng *rand.Rand, n int) string {
	zipf := rand.NewZipf(rng, 1.2, 8, 20000)
	words := make([]string, n)
	for i := range words {
		words[i] = fmt.Sprintf("pal%x", zipf.Uint64())
	}
	return strings.Join(words, " ")
}

func sizes() []int {
	if testing.Short() {
		return []int{1_000}
	}
	return []int{10_000, 100_000}
}

func BenchmarkIndex(b *testing.B) {
	for _, n := range sizes() {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkIndex(b, n) })
	}
}

func benchmarkIndex(b *testing.B, n int) {
	dir := b.TempDir()
	cfg := withVectors(dir, gauss{})
	x, err := retrieval.Open(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	fill(b, x, n)
	for _, mode := range []retrieval.Mode{retrieval.Lexical, retrieval.Vector, retrieval.Hybrid} {
		b.Run("search/"+string(mode), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(9, 9))
			for b.Loop() {
				if r, err := x.Search(b.Context(), retrieval.Query{Text: prose(rng, 8), Mode: mode}); err != nil || len(r.Hits) == 0 {
					b.Fatal(r, err)
				}
			}
		})
	}
	if err := x.Close(); err != nil {
		b.Fatal(err)
	}
	x = nil
	b.Run("reopen", func(b *testing.B) {
		for b.Loop() {
			before := heap()
			x, err := retrieval.Open(b.Context(), cfg)
			if err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			b.ReportMetric(float64(heap()-before)/float64(n), "heap-B/chunk")
			b.ReportMetric(float64(onDisk(b, dir))/float64(n), "disk-B/chunk")
			if err := x.Close(); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func onDisk(b *testing.B, dir string) (bytes int64) {
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			bytes += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return bytes
}
