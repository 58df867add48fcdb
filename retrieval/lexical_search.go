package retrieval

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/search/query"
)

var errClosed = errors.New("the word index is closed")

// A find is a chunk found by its words.
type find struct {
	id    string
	score float64
}

// Boosts of the ways a word of the question can be met.
const (
	exactBoost = 1.0
	stemBoost  = 1.0
	codeBoost  = 3.0 // two parts of a code, glued
	nameBoost  = 0.3 // in the title or the path
)

// search returns at most k chunks below a place (see [placesOf]; "" is everywhere) that share words with text, best first.
func (l *lexical) search(ctx context.Context, text string, places []string, k int) ([]find, error) {
	q := lexicalQuery(words(text))
	if q == nil {
		return nil, nil
	}
	if len(places) > 0 {
		where := bleve.NewDisjunctionQuery()
		for _, p := range places {
			where.AddQuery(term(pathField, p, 1))
		}
		filtered := bleve.NewBooleanQuery()
		filtered.AddMust(q)
		filtered.AddFilter(where)
		q = filtered
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.bleve == nil {
		return nil, errClosed
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

// lexicalQuery asks for any of the words of a question, in every form they may have. It is nil for no words.
func lexicalQuery(ws []word) query.Query {
	if len(ws) == 0 {
		return nil
	}
	q := bleve.NewDisjunctionQuery()
	for _, w := range meaningful(ws) {
		q.AddQuery(term(exactField, w, exactBoost), term(nameField, w, nameBoost))
		for _, s := range stems(w, "") {
			q.AddQuery(term(stemField, s, stemBoost))
		}
	}
	for i, w := range ws {
		if w.glued && i > 0 {
			q.AddQuery(term(exactField, ws[i-1].text+"-"+w.text, codeBoost))
		}
	}
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

func term(field, text string, boost float64) query.Query {
	q := bleve.NewTermQuery(text)
	q.SetField(field)
	q.SetBoost(boost)
	return q
}

// frequencies returns how many chunks hold each word in any of its forms, and how many chunks there are.
func (l *lexical) frequencies(ctx context.Context, ws []string) (df []uint64, total uint64, err error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.bleve == nil {
		return nil, 0, errClosed
	}
	advanced, err := l.bleve.Advanced()
	if err != nil {
		return nil, 0, err
	}
	reader, err := advanced.Reader()
	if err != nil {
		return nil, 0, err
	}
	defer reader.Close()
	if total, err = reader.DocCount(); err != nil {
		return nil, 0, err
	}
	count := func(field, term string) (uint64, error) {
		r, err := reader.TermFieldReader(ctx, []byte(term), field, false, false, false)
		if err != nil {
			return 0, err
		}
		return r.Count(), r.Close()
	}
	df = make([]uint64, len(ws))
	for i, w := range ws {
		if df[i], err = count(exactField, w); err != nil {
			return nil, 0, err
		}
		for _, s := range stems(w, "") {
			n, err := count(stemField, s)
			if err != nil {
				return nil, 0, err
			}
			df[i] = max(df[i], n)
		}
	}
	return df, total, nil
}

// count returns how many rows a source has.
func (l *lexical) count(ctx context.Context, source string) (int, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.bleve == nil {
		return 0, errClosed
	}
	result, err := l.bleve.SearchInContext(ctx, bleve.NewSearchRequestOptions(term(sourceField, source, 1), 0, 0, false))
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
