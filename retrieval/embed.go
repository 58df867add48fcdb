package retrieval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"go.etcd.io/bbolt"
)

// An engineError is one that the embedder is to blame for, not the index.
type engineError struct{ error }

func (e engineError) Unwrap() error { return e.error }

// embedPassages asks the embedder and refuses an answer that is none: another
// number of vectors than texts, another dimension than dims (0 is any), or a
// vector that has no direction.
func (x *Index) embedPassages(ctx context.Context, texts []string, dims int) ([][]float32, error) {
	vs, err := x.cfg.Embedder.EmbedPassages(ctx, texts)
	if err != nil {
		return nil, engineError{err}
	}
	if len(vs) != len(texts) {
		return nil, engineError{fmt.Errorf("the embedder gave %d vectors for %d texts", len(vs), len(texts))}
	}
	if dims == 0 {
		dims = len(vs[0])
	}
	for _, v := range vs {
		if err := checkVector(v, dims); err != nil {
			return nil, engineError{err}
		}
	}
	return vs, nil
}

// embedQuestion is [Index.embedPassages] for a question.
func (x *Index) embedQuestion(ctx context.Context, text string, dims int) ([]float32, error) {
	v, err := x.cfg.Embedder.EmbedQuery(ctx, text)
	if err == nil {
		err = checkVector(v, dims)
	}
	if err != nil {
		return nil, engineError{err}
	}
	return v, nil
}

func checkVector(v []float32, dims int) error {
	if len(v) != dims || dims == 0 {
		return fmt.Errorf("the embedder gave a vector of %d dimensions, not %d", len(v), dims)
	}
	var sum float64
	for _, f := range v {
		sum += float64(f) * float64(f)
	}
	if math.IsNaN(sum) || math.IsInf(sum, 0) || sum == 0 {
		return errors.New("the embedder gave a vector that is no number, or zero")
	}
	return nil
}

// A batch is texts that are embedded together.
type batch struct {
	space *space
	items []*text
	texts []string
}

// next returns up to n texts that have no vectors, those of the newest sources first.
func (x *Index) next(ctx context.Context, n int) (batch, error) {
	x.mu.Lock()
	b := batch{space: x.space, items: x.missing(n)}
	refs := make([]ref, len(b.items))
	for i, t := range b.items {
		refs[i] = t.refs[0]
	}
	x.mu.Unlock()
	return b, x.db.View(func(tx *bbolt.Tx) error {
		kept := b.items[:0]
		for i, t := range b.items {
			if err := ctx.Err(); err != nil {
				return err
			}
			c, err := readChunk(tx, refs[i].entry.source.ID, refs[i].n)
			if err != nil || hashOf(c.Indexed()) != t.hash {
				continue // replaced or deleted meanwhile
			}
			kept, b.texts = append(kept, t), append(b.texts, c.Indexed())
		}
		b.items = kept
		return nil
	})
}

// missing returns up to n texts without vectors that are not set aside, and
// drops from todo what has nothing left to do.
func (x *Index) missing(n int) []*text {
	var out []*text
	now, taken := time.Now(), map[*text]bool{}
	for i := len(x.todo) - 1; i >= 0 && len(out) < n; i-- {
		e, left := x.todo[i], false
		if x.sources[e.source.ID] == e {
			for _, t := range e.texts {
				if t.windows > 0 {
					continue
				}
				left = true
				if len(out) < n && !taken[t] && t.retryAt.Before(now) {
					taken[t] = true
					out = append(out, t)
				}
			}
		}
		if !left {
			x.todo = append(x.todo[:i], x.todo[i+1:]...)
		}
	}
	return out
}

// keepVectors stores what came of a batch: in index.db, then in the vector store.
func (x *Index) keepVectors(ctx context.Context, b batch, outcomes []outcome) error {
	x.write.Lock()
	defer x.write.Unlock()
	if x.space.Name != b.space.Name {
		return nil
	}
	current := func(i int) bool { return x.texts[b.items[i].hash] == b.items[i] }
	err := x.db.Update(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(vectorsBucket).Bucket([]byte(b.space.Name))
		for i, t := range b.items {
			if outcomes[i].err != nil || !current(i) {
				continue
			}
			if err := bucket.Put(t.hash[:], encodeVectors(outcomes[i].vectors)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("index.db: %w", err)
	}
	for i, t := range b.items {
		switch {
		case !current(i):
		case outcomes[i].err == nil:
			x.remember(ctx, t, outcomes[i].vectors)
		default:
			x.cfg.Log.Warn("a passage could not be embedded", "chunk", t.refs[0].id(), "err", outcomes[i].err)
			x.mu.Lock()
			t.retryAt = time.Now().Add(setAside)
			x.mu.Unlock()
		}
	}
	return nil
}
