package retrieval

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/search/query"
	index "github.com/blevesearch/bleve_index_api"
)

var errClosed = errors.New("the word index is closed")

// A find is a chunk found by its words.
type find struct {
	id    string
	score float64
}

// What a word of the question weighs by the way it is met. Measured on XQuAD,
// articles 1 to 24, in a haystack: with stop words met exactly and rare words
// weighed up, nDCG@10 is .931 in Spanish and .943 in English, .916 and .937 without.
const (
	exactBoost = 1.0
	stemBoost  = 1.0
	codeBoost  = 3.0 // two parts of a code, glued
	nameBoost  = 0.3 // in the path, or in a title that is not in the text
	rarity     = 0.5 // bleve weighs a term by its idf squared; this is added to the power
)

// search returns at most k chunks below a place (see [placesOf]; "" is everywhere) that share words with text, best first.
func (l *lexical) search(ctx context.Context, text string, places []string, k int) ([]find, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	q, err := l.query(ctx, words(text))
	if q == nil || err != nil {
		return nil, err
	}
	if len(places) > 0 {
		where := bleve.NewDisjunctionQuery()
		for _, p := range places {
			where.AddQuery(termQuery(pathField, p, 1))
		}
		filtered := bleve.NewBooleanQuery()
		filtered.AddMust(q)
		filtered.AddFilter(where)
		q = filtered
	}
	request := bleve.NewSearchRequestOptions(q, k, 0, false)
	request.SortBy([]string{"-_score", "_id"})
	result, err := l.bleve.SearchInContext(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("word index: %w", err)
	}
	out := make([]find, len(result.Hits))
	for i, h := range result.Hits {
		out[i] = find{h.ID, h.Score}
	}
	return out, nil
}

// query asks for any of the words of a question, in every form they may have.
// It is nil where no chunk has any of those that carry meaning.
func (l *lexical) query(ctx context.Context, ws []word) (query.Query, error) {
	r, err := l.counts()
	if err != nil {
		return nil, err
	}
	defer r.close()
	asked := meaningful(ws)
	var terms, stops []query.Query
	for _, w := range asked {
		terms = append(terms, r.term(ctx, exactField, w, exactBoost), r.term(ctx, nameField, w, nameBoost))
		for _, s := range stems(w, "") {
			terms = append(terms, r.term(ctx, stemField, s, stemBoost))
		}
	}
	for i, w := range ws {
		if w.glued && i > 0 {
			terms = append(terms, r.term(ctx, exactField, ws[i-1].text+"-"+w.text, codeBoost))
		}
		if !slices.Contains(asked, w.text) {
			stops = append(stops, r.term(ctx, exactField, w.text, exactBoost))
		}
	}
	terms, stops = slices.DeleteFunc(terms, isNil), slices.DeleteFunc(stops, isNil)
	if len(terms) == 0 || r.err != nil {
		return nil, r.err
	}
	if len(stops) == 0 {
		return bleve.NewDisjunctionQuery(terms...), nil
	}
	q := bleve.NewBooleanQuery() // stop words find nothing, but tell between what is found
	q.AddMust(bleve.NewDisjunctionQuery(slices.Concat(terms, stops)...))
	q.AddFilter(bleve.NewDisjunctionQuery(terms...))
	return q, nil
}

func isNil(q query.Query) bool { return q == nil }

// counts reads how many rows have a term, at one moment. The caller closes it.
func (l *lexical) counts() (*counts, error) {
	if l.bleve == nil {
		return nil, errClosed
	}
	advanced, err := l.bleve.Advanced()
	if err != nil {
		return nil, err
	}
	r, err := advanced.Reader()
	if err != nil {
		return nil, err
	}
	total, err := r.DocCount()
	return &counts{IndexReader: r, total: total, err: err}, nil
}

type counts struct {
	index.IndexReader
	total uint64
	err   error // the first
}

// close gives the reader back; that it could not is an error of nothing that was read.
func (r *counts) close() { _ = r.Close() }

// count returns how many rows have a term.
func (r *counts) count(ctx context.Context, field, term string) uint64 {
	postings, err := r.TermFieldReader(ctx, []byte(term), field, false, false, false)
	if err != nil {
		r.err = cmp.Or(r.err, err)
		return 0
	}
	defer func() { r.err = cmp.Or(r.err, postings.Close()) }()
	return postings.Count()
}

// term asks for a term, or is nil where no row has it.
func (r *counts) term(ctx context.Context, field, term string, boost float64) query.Query {
	n := r.count(ctx, field, term)
	if n == 0 {
		return nil
	}
	return termQuery(field, term, boost*math.Pow(idf(n, r.total), rarity))
}

func termQuery(field, term string, boost float64) query.Query {
	q := bleve.NewTermQuery(term)
	q.SetField(field)
	q.SetBoost(boost)
	return q
}

// meaningful returns the words that are no stop words, each once, or all where there are none.
func meaningful(ws []word) []string {
	var all, out []string
	for _, w := range ws {
		if slices.Contains(all, w.text) {
			continue
		}
		all = append(all, w.text)
		if !stopWords[w.text] {
			out = append(out, w.text)
		}
	}
	if len(out) == 0 {
		return all
	}
	return out
}

// frequencies returns how many chunks hold each word in any of its forms, and how many chunks there are.
func (l *lexical) frequencies(ctx context.Context, ws []string) (df []uint64, total uint64, err error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	r, err := l.counts()
	if err != nil {
		return nil, 0, err
	}
	defer r.close()
	df = make([]uint64, len(ws))
	for i, w := range ws {
		df[i] = r.count(ctx, exactField, w)
		for _, s := range stems(w, "") {
			df[i] = max(df[i], r.count(ctx, stemField, s))
		}
	}
	return df, r.total, r.err
}

// count returns how many rows a source has.
func (l *lexical) count(ctx context.Context, source string) (int, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.bleve == nil {
		return 0, errClosed
	}
	result, err := l.bleve.SearchInContext(ctx, bleve.NewSearchRequestOptions(termQuery(sourceField, source, 1), 0, 0, false))
	if err != nil {
		return 0, fmt.Errorf("word index: %w", err)
	}
	return int(result.Total), nil
}

// total returns how many rows there are.
func (l *lexical) total() (int, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.bleve == nil {
		return 0, errClosed
	}
	n, err := l.bleve.DocCount()
	return int(n), err
}
