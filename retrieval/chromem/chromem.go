// Package chromem keeps vectors in memory with chromem-go. Nothing of it is
// durable: chromem-go's own files lose data (a killed process leaves a
// database that does not open), so the index fills a new store from index.db
// each time it is opened.
package chromem

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/philippgille/chromem-go"

	"github.com/acervo-kb/acervo/retrieval"
)

// A Store is a [retrieval.VectorStore] that searches every vector. Its methods may be called at the same time.
type Store struct {
	mu   sync.RWMutex // chromem-go's Delete reads without its lock
	db   *chromem.DB
	dims int // of all vectors; 0 before the first
}

// New returns an empty store.
func New() *Store { return &Store{db: chromem.NewDB()} }

// Add adds vectors or replaces those that have the same ids. It refuses all of
// them where one has another dimension than those before, or no direction.
func (s *Store) Add(ctx context.Context, partition string, ids []string, vectors [][]float32) error {
	if len(ids) != len(vectors) {
		return fmt.Errorf("%d ids for %d vectors", len(ids), len(vectors))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	dims := s.dims
	documents := make([]chromem.Document, len(ids))
	for i, v := range vectors {
		if dims == 0 {
			dims = len(v)
		}
		if err := check(v, dims); err != nil {
			return fmt.Errorf("vector %s: %w", ids[i], err)
		}
		documents[i] = chromem.Document{ID: ids[i], Embedding: slices.Clone(v)} // chromem-go keeps what it is given
	}
	if len(documents) == 0 {
		return nil // an error in chromem-go
	}
	// With no function it would make one that calls OpenAI. Ours is never called: every document has its vector.
	c, err := s.db.GetOrCreateCollection(partition, nil, noEmbedding)
	if err != nil {
		return err
	}
	for _, d := range documents {
		if err := c.AddDocument(ctx, d); err != nil {
			return err
		}
	}
	s.dims = dims
	return nil
}

func noEmbedding(context.Context, string) ([]float32, error) {
	return nil, errors.New("the store embeds nothing")
}

// check refuses what would poison a collection: another dimension makes every
// later query fail, and a vector without direction is found as NaN.
func check(v []float32, dims int) error {
	if len(v) != dims || dims == 0 {
		return fmt.Errorf("%d dimensions, not %d", len(v), dims)
	}
	var sum float64
	for _, f := range v {
		sum += float64(f) * float64(f)
	}
	if sum == 0 || math.IsNaN(sum) || math.IsInf(sum, 0) {
		return errors.New("it is zero or no number")
	}
	return nil
}

// Remove removes vectors; ids that are not there do not matter.
func (s *Store) Remove(ctx context.Context, partition string, ids []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.db.GetCollection(partition, noEmbedding)
	if c == nil || len(ids) == 0 {
		return nil
	}
	// Nil filters, not empty ones: an empty where deletes everything, whatever the ids.
	return c.Delete(ctx, nil, nil, ids...)
}

// Nearest returns at most k matches, best first, ties by id.
func (s *Store) Nearest(ctx context.Context, partition string, vector []float32, k int) ([]retrieval.Match, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c := s.db.GetCollection(partition, noEmbedding)
	if c == nil {
		return nil, nil
	}
	k = min(k, c.Count()) // more is an error in chromem-go
	if k <= 0 {
		return nil, nil
	}
	if err := check(vector, s.dims); err != nil {
		return nil, fmt.Errorf("the query's vector: %w", err)
	}
	found, err := c.QueryEmbedding(ctx, vector, k, nil, nil)
	if err != nil {
		return nil, err
	}
	matches := make([]retrieval.Match, len(found))
	for i, r := range found {
		matches[i] = retrieval.Match{ID: r.ID, Similarity: float64(r.Similarity)}
	}
	slices.SortStableFunc(matches, byRank)
	return matches, nil
}

func byRank(a, b retrieval.Match) int {
	switch {
	case a.Similarity > b.Similarity:
		return -1
	case a.Similarity < b.Similarity:
		return 1
	case a.ID < b.ID:
		return -1
	}
	return 1
}
