package retrieval

import (
	"context"
	"fmt"

	"go.etcd.io/bbolt"
)

// Verify proves that every chunk can be found: that texts, word index and
// vectors agree. It returns what does not, in words; nothing may write
// meanwhile.
func (x *Index) Verify(ctx context.Context) ([]string, error) {
	var problems []string
	report := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	err := x.db.View(func(tx *bbolt.Tx) error {
		stored, err := loadCatalog(tx)
		if err != nil {
			return err
		}
		rows := 0
		for id, e := range stored.sources {
			if err := ctx.Err(); err != nil {
				return err
			}
			rows += len(e.texts)
			if err := x.verifySource(ctx, tx, id, e, report); err != nil {
				return err
			}
		}
		if n := tx.Bucket(chunksBucket).Stats().KeyN; n != rows {
			report("index.db holds %d chunks, its sources have %d", n, rows)
		}
		if n, err := x.lexical.total(); err != nil || n != rows {
			report("the word index has %d rows for %d chunks", n, rows)
		}
		return verifyVectors(tx, stored, report)
	})
	return problems, err
}

// verifySource compares a source's list of texts with its chunks, its rows in the word index and its vectors.
func (x *Index) verifySource(ctx context.Context, tx *bbolt.Tx, id string, e *entry, report func(string, ...any)) error {
	for n, t := range e.texts {
		c, err := readChunk(tx, id, n)
		if err != nil {
			report("%v", err)
			continue
		}
		if hashOf(c.Indexed()) != t.hash {
			report("chunk %s: its text is not the one listed", c.ID)
		}
		if x.windowsOf(t.hash) != x.storedWindows(tx, t.hash) {
			report("chunk %s: %d of its %d stored vectors are in use", c.ID, x.windowsOf(t.hash), x.storedWindows(tx, t.hash))
		}
	}
	rows, err := x.lexical.count(ctx, id)
	if err == nil && rows != len(e.texts) {
		report("source %s: %d rows in the word index for %d chunks", id, rows, len(e.texts))
	}
	return err
}

// windowsOf is how many vectors of a text the vector store holds.
func (x *Index) windowsOf(h hash) int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if t := x.texts[h]; t != nil {
		return t.windows
	}
	return 0
}

// storedWindows is how many vectors of a text the space in force has in index.db.
func (x *Index) storedWindows(tx *bbolt.Tx, h hash) int {
	x.mu.RLock()
	s := x.space
	x.mu.RUnlock()
	if s == nil {
		return 0
	}
	return len(tx.Bucket(vectorsBucket).Bucket([]byte(s.Name)).Get(h[:])) / (4 * s.Dims)
}

// verifyVectors reports vectors whose text no chunk has and which are not on the way out.
func verifyVectors(tx *bbolt.Tx, stored *catalog, report func(string, ...any)) error {
	vectors, retired := tx.Bucket(vectorsBucket), tx.Bucket(retiredBucket)
	return vectors.ForEachBucket(func(name []byte) error {
		orphans := 0
		err := vectors.Bucket(name).ForEach(func(k, _ []byte) error {
			if len(k) == len(hash{}) && stored.texts[hash(k)] == nil && retired.Get(k) == nil {
				orphans++
			}
			return nil
		})
		if orphans > 0 {
			report("%d vectors of space %s belong to no chunk", orphans, name)
		}
		return err
	})
}

// Repair makes the word index anew from index.db.
func (x *Index) Repair(ctx context.Context) error { return x.lexical.rebuild(ctx) }
