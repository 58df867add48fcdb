package retrieval

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sync/errgroup"
)

// How many candidates each retriever gives to the fusion, at least.
const (
	lexicalDepth = 100
	vectorDepth  = 50 // of each language
	rerankDepth  = 20
	coverDepth   = 40 // of the best by words, how many are looked at for the share of the question they hold
)

// Search returns the chunks that answer q best, each text once. Where vectors
// cannot be used, a hybrid search goes on by words and says so in the
// result's Warnings; a vector search returns an error that wraps
// [ErrUnavailable].
func (x *Index) Search(ctx context.Context, q Query) (Result, error) {
	if q.K <= 0 {
		q.K = 10
	}
	result := Result{Language: DetectLanguage(q.Text)}
	where := x.place(q)
	if where.empty {
		return result, nil
	}
	s := search{query: q, where: where, language: result.Language, found: map[*text]*candidate{}}
	var finds []find
	var took float64
	g, searching := errgroup.WithContext(ctx)
	g.Go(func() (err error) { // while the embedder works
		finds, took, err = x.byWords(searching, q, where)
		return err
	})
	start := time.Now()
	vector, warnings, err := x.question(ctx, q)
	result.EmbedMS = milliseconds(start)
	if failed := g.Wait(); err == nil {
		err = failed
	}
	if err != nil {
		return result, err
	}
	result.Warnings = warnings
	start = time.Now()
	if err := x.collect(ctx, &s, finds, vector); err != nil {
		return result, err
	}
	result.Hits, err = x.hits(ctx, &s)
	result.SearchMS = took + milliseconds(start)
	return result, err
}

// byWords searches by words, unless q wants vectors only, and says how many milliseconds it took.
func (x *Index) byWords(ctx context.Context, q Query, where scope) ([]find, float64, error) {
	if q.Mode == Vector {
		return nil, 0, nil
	}
	start := time.Now()
	finds, err := x.lexical.search(ctx, q.Text, where.places, max(lexicalDepth, q.K))
	return finds, milliseconds(start), err
}

func milliseconds(since time.Time) float64 { return float64(time.Since(since).Microseconds()) / 1000 }

// A scope is where a query looks.
type scope struct {
	collection, path string
	places           []string // of [placesOf], that narrow the search by words
	empty            bool
}

// place returns where q looks; empty where no source is there.
func (x *Index) place(q Query) scope {
	s := scope{collection: q.Collection, path: strings.Trim(q.Path, "/")}
	switch {
	case s.path != "":
		s.places = []string{s.path, s.path + "/"}
	case s.collection != "":
		s.places = []string{s.collection + "/"}
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	s.empty = true
	for _, e := range x.sources {
		if s.holds(e.source) {
			s.empty = false
			break
		}
	}
	return s
}

// holds says whether one of the source's paths is there.
func (s scope) holds(src Source) bool {
	if s.collection == "" && s.path == "" {
		return true
	}
	return slices.ContainsFunc(src.Paths, func(p string) bool {
		return (s.collection == "" || CollectionOf(p) == s.collection) && (s.path == "" || p == s.path || strings.HasPrefix(p, s.path+"/"))
	})
}

// question embeds the query's text, if q wants vectors. Where that cannot be done it returns a warning, or an error for a query that wants vectors only.
func (x *Index) question(ctx context.Context, q Query) (vector []float32, warnings []Warning, err error) {
	if q.Mode == Lexical {
		return nil, nil, nil
	}
	if x.cfg.Embedder == nil {
		err = fmt.Errorf("no embedder is configured: %w", ErrUnavailable)
	} else {
		vector, warnings, err = x.embedQuery(ctx, q)
	}
	switch {
	case err == nil:
		return vector, warnings, nil
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case q.Mode == Vector:
		if !errors.Is(err, ErrUnavailable) {
			err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return nil, nil, err
	case x.cfg.Embedder == nil:
		return nil, nil, nil // as configured: nothing to warn of
	}
	x.cfg.Log.Warn("searched by words only", "err", err)
	return nil, []Warning{{Cause: err}}, nil
}

func (x *Index) embedQuery(ctx context.Context, q Query) (vector []float32, warnings []Warning, err error) {
	done := x.Prefer()
	defer done()
	ctx, cancel := context.WithTimeout(ctx, questionTime)
	defer cancel()
	if err := x.ready(ctx); err != nil {
		return nil, nil, err
	}
	x.mu.RLock()
	s := x.space
	x.mu.RUnlock()
	if s.rebuilding {
		warnings = []Warning{{}}
		if q.Mode != Vector {
			return nil, warnings, nil
		}
	}
	if vector, err = x.embedQuestion(ctx, q.Text, s.Dims); err != nil {
		x.failed(ctx, err)
		return nil, nil, err
	}
	return vector, warnings, nil
}

// A search is one query on its way.
type search struct {
	query    Query
	where    scope
	language string
	found    map[*text]*candidate
}

// collect gathers what the two retrievers found. A text that several chunks say is one candidate.
func (x *Index) collect(ctx context.Context, s *search, finds []find, vector []float32) error {
	x.mu.RLock()
	for _, f := range finds {
		r, ok := x.chunkOf(f.id)
		if !ok || !s.where.holds(r.entry.source) {
			continue
		}
		t := r.entry.texts[r.n]
		if s.found[t] == nil {
			s.found[t] = &candidate{ref: r, language: t.language, lexical: f.score, embedded: t.windows > 0}
		}
	}
	store, languages := x.vectors, make([]string, 0, len(x.languages))
	for l := range x.languages {
		languages = append(languages, l)
	}
	x.mu.RUnlock()
	if vector == nil {
		return nil
	}
	for _, l := range languages {
		if err := x.nearest(ctx, s, store, l, vector); err != nil {
			return fmt.Errorf("vectors: %w", err)
		}
	}
	return nil
}

// nearest adds the texts of a language nearest to vector. It asks for more
// until enough of them are different texts in the query's place.
func (x *Index) nearest(ctx context.Context, s *search, store VectorStore, language string, vector []float32) error {
	want := max(vectorDepth, s.query.K)
	for k := want; ; k *= 4 {
		matches, err := store.Nearest(ctx, language, vector, k)
		if err != nil {
			return err
		}
		if n := x.match(s, matches); n >= want || len(matches) < k {
			return nil
		}
	}
}

// match takes matches into the candidates, best first, and returns how many texts they are.
func (x *Index) match(s *search, matches []Match) int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	seen := map[*text]bool{}
	for _, m := range matches {
		t := x.textOf(m.ID)
		if t == nil || seen[t] {
			continue
		}
		c := s.found[t]
		if c == nil {
			i := slices.IndexFunc(t.refs, func(r ref) bool { return s.where.holds(r.entry.source) })
			if i < 0 {
				continue
			}
			c = &candidate{ref: t.refs[i], language: t.language, embedded: true}
			s.found[t] = c
		}
		seen[t] = true
		c.vector, c.near = m.Similarity, true
	}
	return len(seen)
}

// hits fuses the candidates and reads the best of them.
func (x *Index) hits(ctx context.Context, s *search) ([]Hit, error) {
	cs := make([]*candidate, 0, len(s.found))
	for _, c := range s.found {
		cs = append(cs, c)
	}
	judge, err := x.judge(ctx, s.query.Text)
	if err != nil {
		return nil, err
	}
	if err := x.cover(cs, judge); err != nil {
		return nil, err
	}
	fuse(cs, s.language, x.foreign(), defaultWeights)
	slices.SortFunc(cs, better)
	var hits []Hit
	depth := s.query.K
	if x.cfg.Reranker != nil {
		depth = max(depth, rerankDepth)
	}
	err = x.db.View(func(tx *bbolt.Tx) error {
		for _, c := range cs {
			if len(hits) == depth {
				break
			}
			h, err := x.hit(tx, c)
			if errors.Is(err, ErrNotFound) {
				continue // deleted meanwhile
			}
			if err != nil {
				return err
			}
			hits = append(hits, h)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := x.rerank(ctx, s.query.Text, hits); err != nil {
		return nil, err
	}
	hits = hits[:min(len(hits), s.query.K)]
	x.confide(judge, s.language, hits)
	return hits, nil
}

func (x *Index) hit(tx *bbolt.Tx, c *candidate) (Hit, error) {
	x.mu.RLock()
	source := c.ref.entry.source
	x.mu.RUnlock()
	chunk, err := readChunk(tx, source.ID, c.ref.n)
	h := Hit{Chunk: chunk, Source: source, Score: c.score}
	if c.near {
		h.Vector = &c.vector
	}
	if c.lexical > 0 {
		h.Lexical = &c.lexical
	}
	return h, err
}

// rerank orders the first hits by the reranker, which must have read them.
func (x *Index) rerank(ctx context.Context, question string, hits []Hit) error {
	if x.cfg.Reranker == nil || len(hits) == 0 {
		return nil
	}
	first := hits[:min(len(hits), rerankDepth)]
	texts := make([]string, len(first))
	for i, h := range first {
		texts[i] = h.Chunk.Indexed()
	}
	scores, err := x.cfg.Reranker.Score(ctx, question, texts)
	if err != nil {
		return fmt.Errorf("rerank: %w", err)
	}
	if len(scores) != len(first) {
		return fmt.Errorf("rerank: %d scores for %d texts", len(scores), len(first))
	}
	order := make(map[string]float64, len(first))
	for i, h := range first {
		order[h.Chunk.ID] = scores[i]
	}
	slices.SortStableFunc(first, func(a, b Hit) int {
		switch x, y := order[a.Chunk.ID], order[b.Chunk.ID]; {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return nil
}
