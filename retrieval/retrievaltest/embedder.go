// Package retrievaltest has fakes of the edges of package retrieval, and the
// test that every [retrieval.VectorStore] passes.
package retrievaltest

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/acervo-kb/acervo/retrieval"
)

// dims is the dimension of the fake's vectors.
const dims = 256

// An Embedder is a [retrieval.Embedder] whose vectors are hashed bags of
// folded words: texts that share words are near. It does as it is told, and
// keeps what it was asked.
type Embedder struct {
	mu       sync.Mutex
	model    string
	shift    int
	refuse   func(texts []string) error
	spoil    func(vectors [][]float32) [][]float32
	passages []string
	batches  int
}

// NewEmbedder returns an embedder that works.
func NewEmbedder(model string) *Embedder { return &Embedder{model: model} }

// Model implements [retrieval.Embedder].
func (e *Embedder) Model() string { return e.model }

// Refuse makes every call fail for which f returns an error; nil ends it.
func (e *Embedder) Refuse(f func(texts []string) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refuse = f
}

// Spoil changes the vectors that are given for passages; nil ends it.
func (e *Embedder) Spoil(f func(vectors [][]float32) [][]float32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.spoil = f
}

// Limit makes a text of more than n bytes too long.
func (e *Embedder) Limit(n int) {
	e.Refuse(func(texts []string) error {
		if slices.ContainsFunc(texts, func(t string) bool { return len(t) > n }) {
			return retrieval.ErrTooLong
		}
		return nil
	})
}

// Upgrade moves the embedder to another vector space under the same name.
func (e *Embedder) Upgrade() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.shift++
}

// Passages returns the texts that were embedded as passages.
func (e *Embedder) Passages() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.passages)
}

// Calls returns how many batches of passages were asked for, with those that failed.
func (e *Embedder) Calls() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.batches
}

// EmbedPassages implements [retrieval.Embedder].
func (e *Embedder) EmbedPassages(ctx context.Context, texts []string) ([][]float32, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.batches++
	vs, err := e.embed(ctx, texts)
	if err != nil {
		return nil, err
	}
	e.passages = append(e.passages, texts...)
	if e.spoil != nil {
		vs = e.spoil(vs)
	}
	return vs, nil
}

// EmbedQuery implements [retrieval.Embedder].
func (e *Embedder) EmbedQuery(ctx context.Context, text string) ([]float32, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	vs, err := e.embed(ctx, []string{text})
	if err != nil {
		return nil, err
	}
	return vs[0], nil
}

func (e *Embedder) embed(ctx context.Context, texts []string) ([][]float32, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if e.refuse != nil {
		if err := e.refuse(texts); err != nil {
			return nil, err
		}
	}
	out := make([][]float32, len(texts))
	for i, t := range texts {
		out[i] = e.vector(t)
	}
	return out, nil
}

// vector hashes each word of text to two places, so that no two words are one.
func (e *Embedder) vector(text string) []float32 {
	v := make([]float32, dims)
	v[0] = 0.01
	for _, w := range strings.FieldsFunc(fold(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		h := fnv.New64a()
		fmt.Fprintf(h, "%d %.6s", e.shift, w)
		sum := h.Sum64()
		v[sum%dims]++
		v[(sum>>32)%dims]--
	}
	var length float64
	for _, f := range v {
		length += float64(f) * float64(f)
	}
	for i := range v {
		v[i] = float32(float64(v[i]) / math.Sqrt(length))
	}
	return v
}

func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFD.String(s))
}
