package retrieval

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/bbolt"
)

// Source returns a source by its id.
func (x *Index) Source(id string) (Source, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if e := x.sources[id]; e != nil {
		return e.source, true
	}
	return Source{}, false
}

// Sources returns all sources, sorted by id.
func (x *Index) Sources() []Source {
	x.mu.RLock()
	defer x.mu.RUnlock()
	out := make([]Source, 0, len(x.sources))
	for _, e := range x.sources {
		out = append(out, e.source)
	}
	slices.SortFunc(out, func(a, b Source) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// Chunks returns at most limit chunks of a source, from number from on. It
// returns an error that wraps [ErrNotFound] for an unknown source.
func (x *Index) Chunks(ctx context.Context, id string, from, limit int) ([]Chunk, error) {
	var out []Chunk
	err := x.db.View(func(tx *bbolt.Tx) error {
		raw := tx.Bucket(textsBucket).Get([]byte(id))
		if raw == nil {
			return fmt.Errorf("source %s: %w", id, ErrNotFound)
		}
		_, marks, err := decodeMarks(raw)
		if err != nil {
			return fmt.Errorf("source %s: %w", id, err)
		}
		for n := max(from, 0); n < len(marks) && len(out) < limit; n++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			c, err := readChunk(tx, id, n)
			if err != nil {
				return err
			}
			out = append(out, c)
		}
		return nil
	})
	return out, err
}

// Chunk returns chunk n of a source, or an error that wraps [ErrNotFound].
func (x *Index) Chunk(_ context.Context, id string, n int) (c Chunk, err error) {
	err = x.db.View(func(tx *bbolt.Tx) error {
		c, err = readChunk(tx, id, n)
		return err
	})
	return c, err
}

// Embedded returns how many of a source's chunks have their vectors, and how many there are.
func (x *Index) Embedded(id string) (embedded, chunks int) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	e := x.sources[id]
	if e == nil {
		return 0, 0
	}
	return e.embedded(), len(e.texts)
}

// Stats returns the counts of now.
func (x *Index) Stats() Stats {
	x.mu.RLock()
	defer x.mu.RUnlock()
	s := Stats{Sources: len(x.sources)}
	refused := 0
	for _, e := range x.sources {
		s.Chunks += len(e.texts)
		s.Vectors += e.embedded()
	}
	for _, t := range x.texts {
		if !t.retryAt.IsZero() {
			refused++
		}
	}
	if x.cfg.Embedder != nil {
		s.Model = x.cfg.Embedder.Model()
	}
	if s.Problem = x.engine.problem; s.Problem == "" && refused > 0 {
		s.Problem = fmt.Sprintf("the embedder refuses %d passages", refused)
	}
	return s
}
