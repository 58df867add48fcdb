package retrieval

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// Config is what an [Index] needs.
type Config struct {
	Dir        string             // of index.db and lexical/
	Embedder   Embedder           // nil: search by words only
	NewVectors func() VectorStore // makes an empty store for a vector space; needed with an Embedder
	Reranker   Reranker           // nil: hits keep their fused order
	Log        *slog.Logger       // nil: no log
	// Embedded, where not nil, is told a source after vectors of its chunks were stored. It is called from Run.
	Embedded func(sourceID string)
	// Pace, where not nil, is asked before each batch of Run. It waits while the machine is to rest, and returns
	// what part of its usual batch Run should do.
	Pace func(ctx context.Context) (scale float64, err error)
}

// An Index stores chunks and finds those that answer a query. Its methods may
// be called at the same time.
type Index struct {
	cfg     Config
	db      *bbolt.DB
	lexical *lexical
	wake    chan struct{} // tells Run that there is something to do
	turns   turns
	gate    chan struct{} // held while the vector space is verified

	write sync.Mutex   // one transaction, and its effect on memory, at a time; taken before mu
	mu    sync.RWMutex // guards what follows
	*catalog
	space   *space // in force; nil before the first vector
	vectors VectorStore
	todo    []*entry // may have texts without vectors, newest last
	engine  engine
}

// Open opens the index in cfg.Dir, or creates it. It needs no embedder. An
// index that another program holds open is an error.
func Open(ctx context.Context, cfg Config) (_ *Index, err error) {
	if cfg.Embedder != nil && cfg.NewVectors == nil {
		return nil, errors.New("an embedder needs a vector store")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	x := &Index{cfg: cfg, wake: make(chan struct{}, 1), gate: make(chan struct{}, 1)}
	if x.db, err = openStore(filepath.Join(cfg.Dir, "index.db")); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, x.Close())
		}
	}()
	if err := x.load(ctx); err != nil {
		return nil, fmt.Errorf("index.db: %w", err)
	}
	if err := x.db.Update(x.sweep); err != nil {
		return nil, fmt.Errorf("index.db: %w", err)
	}
	var rebuilt bool
	if x.lexical, rebuilt, err = openLexical(ctx, filepath.Join(cfg.Dir, "lexical"), x.db); err != nil {
		return nil, err
	}
	if rebuilt && len(x.sources) > 0 {
		cfg.Log.Info("the word index was made anew", "sources", len(x.sources))
	}
	return x, nil
}

// load reads the catalog and the vectors of the space in force.
func (x *Index) load(ctx context.Context) error {
	return x.db.View(func(tx *bbolt.Tx) (err error) {
		if x.catalog, err = loadCatalog(tx); err != nil {
			return err
		}
		x.todo = x.newest()
		if x.cfg.Embedder == nil {
			return nil
		}
		x.vectors = x.cfg.NewVectors()
		if x.space, err = findSpace(tx, spaceModel(x.cfg.Embedder)); err != nil || x.space == nil {
			return err
		}
		return x.loadVectors(ctx, tx)
	})
}

// newest lists the sources, newest last.
func (c *catalog) newest() []*entry {
	out := make([]*entry, 0, len(c.sources))
	for _, e := range c.sources {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b *entry) int { return cmp.Compare(a.order, b.order) })
	return out
}

// Close closes the index. Run and all calls must have ended.
func (x *Index) Close() error {
	var errs []error
	if x.lexical != nil {
		errs = append(errs, x.lexical.close())
	}
	return errors.Join(append(errs, x.db.Close())...)
}

// Replace makes chunks the whole of a source; their N and ID are set here. The
// source is found by its words when Replace returns; its vectors follow from
// [Index.Run], but for texts that have theirs.
func (x *Index) Replace(ctx context.Context, src Source, chunks []Chunk) error {
	if src.ID == "" {
		return errors.New("a source needs an id")
	}
	chunks = slices.Clone(chunks)
	marks := make([]mark, len(chunks))
	for n := range chunks {
		c := &chunks[n]
		c.N, c.ID = n, chunkID(src.ID, n)
		c.Language = cmp.Or(c.Language, src.Language)
		marks[n] = mark{hashOf(c.Indexed()), partition(c.Language)}
	}
	seq, err := x.commit(ctx, src, chunks, marks)
	if err != nil {
		return fmt.Errorf("index.db: %w", err)
	}
	x.notify()
	return x.lexical.sync(ctx, seq)
}

// commit stores a source and takes it into memory.
func (x *Index) commit(ctx context.Context, src Source, chunks []Chunk, marks []mark) (seq uint64, err error) {
	x.write.Lock()
	defer x.write.Unlock()
	var stored map[hash][][]float32
	err = x.db.Update(func(tx *bbolt.Tx) error {
		if err := prune(tx, x.lexical.seen()); err != nil {
			return err
		}
		if err := retire(tx, x.lost(src.ID, marks)); err != nil {
			return err
		}
		stored = x.storedVectors(tx, marks)
		seq, err = putSource(tx, src, chunks, marks, x.chunkCount(src.ID))
		return err
	})
	if err != nil {
		return 0, err
	}
	x.mu.Lock()
	fresh, gone := x.put(src, seq, marks)
	x.todo = append(x.todo, x.sources[src.ID])
	x.mu.Unlock()
	x.forget(ctx, gone)
	for _, t := range fresh {
		if v := stored[t.hash]; v != nil {
			x.remember(ctx, t, v)
		}
	}
	return seq, nil
}

func (x *Index) chunkCount(id string) int {
	if e := x.sources[id]; e != nil {
		return len(e.texts)
	}
	return 0
}

// Describe changes what is known of a source but not its chunks: title, paths,
// language. It returns an error that wraps [ErrNotFound] for an unknown one.
func (x *Index) Describe(ctx context.Context, src Source) error {
	seq, err := x.describe(src)
	if err != nil || seq == 0 {
		return err
	}
	return x.lexical.sync(ctx, seq)
}

func (x *Index) describe(src Source) (seq uint64, err error) {
	x.write.Lock()
	defer x.write.Unlock()
	e := x.sources[src.ID]
	switch {
	case e == nil:
		return 0, fmt.Errorf("source %s: %w", src.ID, ErrNotFound)
	case sameSource(e.source, src):
		return 0, nil
	}
	marks := make([]mark, len(e.texts))
	for n, t := range e.texts {
		marks[n] = t.mark
	}
	err = x.db.Update(func(tx *bbolt.Tx) error {
		seq, err = putSource(tx, src, nil, marks, 0)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("index.db: %w", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	e.source = src
	return seq, nil
}

func sameSource(a, b Source) bool {
	return a.Title == b.Title && a.Language == b.Language && a.Revision == b.Revision && slices.Equal(a.Paths, b.Paths)
}

// Delete forgets a source, if it is there. The vectors of its texts are kept
// for a week, so that a restored one embeds nothing.
func (x *Index) Delete(ctx context.Context, id string) error {
	seq, err := x.delete(ctx, id)
	if err != nil || seq == 0 {
		return err
	}
	return x.lexical.sync(ctx, seq)
}

func (x *Index) delete(ctx context.Context, id string) (seq uint64, err error) {
	x.write.Lock()
	defer x.write.Unlock()
	if x.sources[id] == nil {
		return 0, nil
	}
	err = x.db.Update(func(tx *bbolt.Tx) error {
		if err := errors.Join(prune(tx, x.lexical.seen()), retire(tx, x.lost(id, nil))); err != nil {
			return err
		}
		seq, err = deleteSource(tx, id, x.chunkCount(id))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("index.db: %w", err)
	}
	x.mu.Lock()
	gone := x.drop(id)
	x.mu.Unlock()
	x.forget(ctx, gone)
	return seq, nil
}

// keepRetired is how long vectors outlive the last chunk they belong to.
const keepRetired = 7 * 24 * time.Hour

// retire notes that no chunk has these texts any more.
func retire(tx *bbolt.Tx, hashes []hash) error {
	b, now := tx.Bucket(retiredBucket), seqKey(uint64(time.Now().Unix()))
	for _, h := range hashes {
		if err := b.Put(h[:], now); err != nil {
			return err
		}
	}
	return nil
}

// sweep drops the vectors of texts that no chunk has had for long.
func (x *Index) sweep(tx *bbolt.Tx) error {
	limit := time.Now().Add(-keepRetired).Unix()
	retired, vectors := tx.Bucket(retiredBucket), tx.Bucket(vectorsBucket)
	var back, old [][]byte
	err := retired.ForEach(func(h, when []byte) error {
		switch {
		case x.texts[hash(h)] != nil:
			back = append(back, slices.Clone(h))
		case int64(binary.BigEndian.Uint64(when)) < limit:
			old = append(old, slices.Clone(h))
		}
		return nil
	})
	for _, h := range old {
		err = errors.Join(err, vectors.ForEachBucket(func(name []byte) error { return vectors.Bucket(name).Delete(h) }))
	}
	for _, h := range append(back, old...) {
		err = errors.Join(err, retired.Delete(h))
	}
	return err
}
