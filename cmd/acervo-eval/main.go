// Acervo-eval measures how well the index finds: XQuAD in a haystack, the
// paragraphs of XQuAD among all passages of NoMIRACL, in four directions (the
// language of the question, then that of the answer) with three retrievers.
//
//	acervo-eval -data ../shared/data -url http://127.0.0.1:11434 -model multilingual-e5-small
//
// In the same language all passages stand in the index. Across languages the
// paragraphs in the question's own language are taken out first, so that only
// the translation answers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/acervo-kb/acervo/retrieval"
	"github.com/acervo-kb/acervo/retrieval/chromem"
	"github.com/acervo-kb/acervo/retrieval/ollama"
)

type options struct {
	data, dir, url, model string
	modes                 string
	articles, haystack    int
	skip                  int
}

func main() {
	var o options
	flag.StringVar(&o.data, "data", "", "directory that holds xquad/ and nomiracl/")
	flag.StringVar(&o.dir, "index", "", "directory of the index, kept for the next run (default: a temporary one)")
	flag.StringVar(&o.url, "url", "http://127.0.0.1:11434", "Ollama server; empty: words only")
	flag.StringVar(&o.model, "model", "multilingual-e5-small", "embedding model")
	flag.StringVar(&o.modes, "modes", "lexical,vector,hybrid", "retrievers to measure")
	flag.IntVar(&o.skip, "skip", 0, "articles of XQuAD to leave out at the start")
	flag.IntVar(&o.articles, "articles", math.MaxInt, "articles of XQuAD to take")
	flag.IntVar(&o.haystack, "haystack", math.MaxInt, "passages of NoMIRACL to take of each language")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "acervo-eval:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	set, err := load(o)
	if err != nil {
		return err
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "acervo-eval-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	}
	var embedder retrieval.Embedder
	if o.url != "" {
		inner, err := ollama.NewEmbedder(ollama.Config{URL: o.url, Model: o.model})
		if err != nil {
			return err
		}
		embedder = &remembering{Embedder: inner, queries: map[string][]float32{}}
	}
	index, err := retrieval.Open(ctx, retrieval.Config{
		Dir: o.dir, Embedder: embedder, NewVectors: func() retrieval.VectorStore { return chromem.New() },
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return index.Run(ctx) })
	err = measure(ctx, index, set, strings.Split(o.modes, ","), embedder != nil)
	cancel()
	if stopped := g.Wait(); !errors.Is(stopped, context.Canceled) {
		err = errors.Join(err, stopped)
	}
	return errors.Join(err, index.Close())
}

// measure fills the index, asks every question and prints the table.
func measure(ctx context.Context, index *retrieval.Index, set *dataset, modes []string, vectors bool) error {
	start := time.Now()
	if err := fill(ctx, index, set.haystack, set.paragraphs["es"], set.paragraphs["en"]); err != nil {
		return err
	}
	fmt.Printf("%d sources, %d passages, findable by their words after %s\n", index.Stats().Sources, index.Stats().Chunks, time.Since(start).Round(time.Second/10))
	if !vectors {
		modes = []string{string(retrieval.Lexical)}
	} else {
		if err := embedded(ctx, index); err != nil {
			return err
		}
		fmt.Printf("all have their vectors after %s\n", time.Since(start).Round(time.Second/10))
	}
	fmt.Printf("%-6s %-8s %5s %8s %6s %6s %8s\n", "", "", "n", "nDCG@10", "R@1", "R@5", "ms/query")
	for _, direction := range [][2]string{{"es", "es"}, {"en", "en"}, {"es", "en"}, {"en", "es"}} {
		if err := take(ctx, index, set, direction); err != nil {
			return err
		}
		if vectors {
			if err := embedded(ctx, index); err != nil {
				return err
			}
		}
		for _, mode := range modes {
			s, err := ask(ctx, index, set, direction, retrieval.Mode(mode))
			if err != nil {
				return err
			}
			n := float64(s.n)
			fmt.Printf("%s-%s  %-8s %5d %8.3f %6.3f %6.3f %8.1f\n", direction[0], direction[1], mode, s.n, s.ndcg/n, s.r1/n, s.r5/n, s.ms/n)
		}
	}
	return nil
}

// fill indexes sources, several at a time so that they share transactions of the lexical index.
func fill(ctx context.Context, index *retrieval.Index, lists ...[]document) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(32)
	for _, list := range lists {
		for _, d := range list {
			if _, known := index.Source(d.source.ID); known {
				continue
			}
			g.Go(func() error { return index.Replace(ctx, d.source, d.chunks) })
		}
	}
	return g.Wait()
}

// take makes the index hold what a direction asks for: across languages not the paragraphs in the question's own.
func take(ctx context.Context, index *retrieval.Index, set *dataset, direction [2]string) error {
	var out string
	if direction[0] != direction[1] {
		out = direction[0]
	}
	for language, paragraphs := range set.paragraphs {
		if language != out {
			if err := fill(ctx, index, paragraphs); err != nil {
				return err
			}
			continue
		}
		for _, d := range paragraphs {
			if err := index.Delete(ctx, d.source.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// embedded waits until every chunk has its vectors.
func embedded(ctx context.Context, index *retrieval.Index) error {
	last := time.Now()
	for {
		s := index.Stats()
		if s.Vectors == s.Chunks {
			return nil
		}
		if time.Since(last) > 30*time.Second {
			fmt.Fprintf(os.Stderr, "%d of %d passages have vectors %s\n", s.Vectors, s.Chunks, s.Problem)
			last = time.Now()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// scores are sums over n questions.
type scores struct {
	n                int
	ndcg, r1, r5, ms float64
}

// ask asks every question of the direction's first language. The one relevant passage is the
// paragraph it was asked about, in the second: nDCG@10 is 1/log2(1+rank), or 0 beyond rank 10.
func ask(ctx context.Context, index *retrieval.Index, set *dataset, direction [2]string, mode retrieval.Mode) (scores, error) {
	var s scores
	for _, q := range set.questions[direction[0]] {
		start := time.Now()
		result, err := index.Search(ctx, retrieval.Query{Text: q.text, K: 10, Mode: mode})
		if err != nil {
			return s, err
		}
		s.n++
		s.ms += float64(time.Since(start).Microseconds()) / 1000
		rank := 1 + slices.IndexFunc(result.Hits, func(h retrieval.Hit) bool { return h.Source.ID == "xquad-"+direction[1]+"-"+q.paragraph })
		if rank == 0 {
			continue
		}
		s.ndcg += 1 / math.Log2(1+float64(rank))
		if rank == 1 {
			s.r1++
		}
		if rank <= 5 {
			s.r5++
		}
	}
	return s, nil
}

// remembering keeps the vectors of questions, which are asked in several modes: what is timed is the index.
type remembering struct {
	retrieval.Embedder
	mu      sync.Mutex
	queries map[string][]float32
}

func (r *remembering) EmbedQuery(ctx context.Context, text string) ([]float32, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v, ok := r.queries[text]; ok {
		return v, nil
	}
	v, err := r.Embedder.EmbedQuery(ctx, text)
	if err == nil {
		r.queries[text] = v
	}
	return v, err
}
