package retrieval

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/blevesearch/bleve/v2"
	index "github.com/blevesearch/bleve_index_api"
	"go.etcd.io/bbolt"
)

// lexicalVersion names the fields and their analysis. Another one means that the word index is made anew.
const lexicalVersion = "1"

// What the word index knows of itself: the index.db and version it was made from, and the last change it has seen.
var (
	madeFromKey = []byte("acervo.made_from")
	appliedKey  = []byte("acervo.applied")
)

// A lexical is the word index: BM25 by bleve, derived from index.db. It sees
// the changes of index.db in their order and keeps the number of the last one
// with the rows themselves, so that after a crash it goes on where it stood.
type lexical struct {
	db  *bbolt.DB
	dir string

	syncing sync.Mutex // one at a time; guards applied and replacing bleve
	mu      sync.RWMutex
	bleve   bleve.Index
	applied uint64
}

// openLexical opens the word index in dir and brings it level with db. One
// that is missing, broken or of another making is made anew.
func openLexical(ctx context.Context, dir string, db *bbolt.DB) (l *lexical, rebuilt bool, err error) {
	l = &lexical{db: db, dir: dir}
	if l.reopen() {
		return l, false, l.sync(ctx, 0)
	}
	if err := l.rebuild(ctx); err != nil {
		return nil, true, errors.Join(err, l.close())
	}
	return l, true, nil
}

// reopen says whether the index on disk can be gone on with.
func (l *lexical) reopen() bool {
	b, err := bleve.Open(l.dir)
	if err != nil {
		return false
	}
	l.bleve = b
	from, err := b.GetInternal(madeFromKey)
	if err != nil || string(from) != l.origin() {
		return false
	}
	raw, err := b.GetInternal(appliedKey)
	if err != nil || len(raw) != 8 {
		return false
	}
	l.applied = binary.BigEndian.Uint64(raw)
	return l.continues()
}

// continues says whether every change after the last one applied is still on record.
func (l *lexical) continues() bool {
	whole := false
	_ = l.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(changesBucket)
		last := b.Sequence()
		k, _ := b.Cursor().Seek(seqKey(l.applied + 1))
		whole = l.applied == last || l.applied < last && k != nil && binary.BigEndian.Uint64(k) == l.applied+1
		return nil
	})
	return whole
}

// origin names the index.db and the analysis that the rows come from.
func (l *lexical) origin() string {
	var id string
	_ = l.db.View(func(tx *bbolt.Tx) error {
		id = hex.EncodeToString(tx.Bucket(metaBucket).Get(idKey))
		return nil
	})
	return lexicalVersion + " " + id
}

// rebuild makes the index anew from index.db.
func (l *lexical) rebuild(ctx context.Context) error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	origin := l.origin()
	fresh, err := l.replace()
	if err != nil {
		return err
	}
	return l.db.View(func(tx *bbolt.Tx) error {
		seq := tx.Bucket(changesBucket).Sequence()
		w := writer{index: fresh, batch: fresh.NewBatch()}
		err := tx.Bucket(sourcesBucket).ForEach(func(id, _ []byte) error { return w.add(ctx, tx, string(id), 0) })
		if err != nil {
			return err
		}
		w.batch.SetInternal(madeFromKey, []byte(origin))
		return l.finish(&w, seq)
	})
}

// replace puts an empty index where the present one is.
func (l *lexical) replace() (bleve.Index, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bleve != nil {
		_ = l.bleve.Close() // what it holds is thrown away
		l.bleve = nil
	}
	if err := os.RemoveAll(l.dir); err != nil {
		return nil, fmt.Errorf("word index: %w", err)
	}
	m := bleve.NewIndexMapping()
	m.ScoringModel = index.BM25Scoring // TF-IDF unless told
	b, err := bleve.New(l.dir, m)
	if err != nil {
		return nil, fmt.Errorf("word index in %s: %w", filepath.Base(l.dir), err)
	}
	l.bleve, l.applied = b, 0
	return b, nil
}

// sync applies the changes that the index has not seen, at least up to seq.
// Callers that wait for one another share a batch.
func (l *lexical) sync(ctx context.Context, seq uint64) error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	if seq != 0 && l.applied >= seq {
		return nil
	}
	return l.db.View(func(tx *bbolt.Tx) error {
		w := writer{index: l.bleve, batch: l.bleve.NewBatch()}
		last, counts := l.applied, map[string]int{}
		c := tx.Bucket(changesBucket).Cursor()
		for k, v := c.Seek(seqKey(l.applied + 1)); k != nil; k, v = c.Next() {
			last = binary.BigEndian.Uint64(k)
			source := string(v[4:])
			counts[source] = max(counts[source], int(binary.BigEndian.Uint32(v)))
		}
		if last == l.applied {
			return nil
		}
		for source, count := range counts {
			if err := w.add(ctx, tx, source, count); err != nil {
				return err
			}
		}
		return l.finish(&w, last)
	})
}

// finish writes the last batch, and with it the number of the change it brings the index to.
func (l *lexical) finish(w *writer, seq uint64) error {
	w.batch.SetInternal(appliedKey, seqKey(seq))
	if err := w.flush(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.applied = seq
	return nil
}

// seen is the last change that the index has on disk.
func (l *lexical) seen() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.applied
}

func (l *lexical) close() error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bleve == nil {
		return nil
	}
	err := l.bleve.Close()
	l.bleve = nil
	return err
}
