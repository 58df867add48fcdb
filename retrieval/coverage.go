package retrieval

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"

	"go.etcd.io/bbolt"
)

// The confidence of a hit is made of two signals.
//
// Coverage is the share of the question's content words that the passage
// holds, each weighed by its idf: 1 where it holds all. Stop words and question
// words do not count; forms of a word are one (see [stems]). A word that no
// passage holds weighs as much as the rarest, so a question that shares a
// common word with the documents covers little.
//
// Likeness is the cosine on the model's own scale, squared: 0 at the usual
// cosine of what is unrelated, 1 at that of a question and its answer, as
// measured when the vector space was made. It alone tells across languages.
//
//	confidence = coverage + (1 - coverage) * trust * likeness²
//
// Trust is lower in the same language, where the words should be there too.
const (
	trustSame   = 0.4
	trustAcross = 0.8
)

// contentWords returns the words of a question that carry meaning, each once; none where there are only stop words.
func contentWords(question string) []string {
	var out []string
	seen := map[string]bool{}
	for _, w := range words(question) {
		if !stopWords[w.text] && !seen[w.text] {
			seen[w.text] = true
			out = append(out, w.text)
		}
	}
	return out
}

// idf weighs a word that df of total passages hold. One that none holds weighs like one that a single passage does.
func idf(df, total uint64) float64 {
	d, n := float64(max(df, 1)), float64(max(total, df, 1))
	return math.Log(1 + (n-d+0.5)/(d+0.5))
}

// coverage is the share of ws, weighed, of which the text holds a form.
func coverage(ws []string, weights []float64, text string) float64 {
	forms := map[string]bool{}
	for _, w := range words(text) {
		forms[w.text] = true
		for _, s := range stems(w.text, "") {
			forms[s] = true
		}
	}
	covered, all := 0.0, 0.0
	for i, w := range ws {
		all += weights[i]
		if holds(forms, w) {
			covered += weights[i]
		}
	}
	if all == 0 {
		return 0
	}
	return covered / all
}

// nearby is how many words a passage may spread over to count as close: a sentence or so.
const nearby = 20

// closeness is the share of ws, weighed, that the text holds within a few words of each other. A passage that
// answers has a question's words in one place; one that only shares its subject has them scattered.
func closeness(ws []string, weights []float64, text string) float64 {
	all := 0.0
	asked := map[string]int{}
	for i, w := range ws {
		all += weights[i]
		for _, form := range append(stems(w, ""), w) {
			asked[form] = i
		}
	}
	if all == 0 {
		return 0
	}
	type meeting struct{ at, word int }
	var window []meeting
	held := make([]int, len(ws)) // how often the window holds each
	best, sum := 0.0, 0.0
	for at, w := range words(text) {
		i, ok := meets(asked, w.text)
		if !ok {
			continue
		}
		window = append(window, meeting{at, i})
		if held[i]++; held[i] == 1 {
			sum += weights[i]
		}
		for window[0].at < at-nearby {
			out := window[0].word
			if held[out]--; held[out] == 0 {
				sum -= weights[out]
			}
			window = window[1:]
		}
		best = max(best, sum)
	}
	return best / all
}

// meets returns which of the words asked for w is a form of.
func meets(asked map[string]int, w string) (int, bool) {
	if i, ok := asked[w]; ok {
		return i, true
	}
	for _, s := range stems(w, "") {
		if i, ok := asked[s]; ok {
			return i, true
		}
	}
	return 0, false
}

func holds(forms map[string]bool, w string) bool {
	if forms[w] {
		return true
	}
	for _, s := range stems(w, "") {
		if forms[s] {
			return true
		}
	}
	return false
}

// likeness is where cosine stands between the space's two usual ones, 0–1. A space that does not tell them apart says nothing.
func (s *space) likeness(cosine float64) float64 {
	if s.Related-s.Unrelated < 0.01 {
		return 0
	}
	return min(max((cosine-s.Unrelated)/(s.Related-s.Unrelated), 0), 1)
}

// A judge knows what the words of one question weigh.
type judge struct {
	words   []string
	weights []float64
}

func (x *Index) newJudge(ctx context.Context, question string) (judge, error) {
	ws := contentWords(question)
	df, total, err := x.lexical.frequencies(ctx, ws)
	if err != nil {
		return judge{}, err
	}
	weights := make([]float64, len(ws))
	for i := range ws {
		weights[i] = idf(df[i], total)
	}
	return judge{ws, weights}, nil
}

// cover looks at the best candidates by words for the share of the question
// that they hold, and hold in one place.
func (x *Index) cover(cs []*candidate, j judge) error {
	best := slices.DeleteFunc(slices.Clone(cs), func(c *candidate) bool { return c.lexical == 0 })
	slices.SortFunc(best, func(a, b *candidate) int { return cmp.Compare(b.lexical, a.lexical) })
	return x.db.View(func(tx *bbolt.Tx) error {
		for _, c := range best[:min(len(best), coverDepth)] {
			x.mu.RLock()
			id := c.ref.entry.source.ID
			x.mu.RUnlock()
			chunk, err := readChunk(tx, id, c.ref.n)
			if errors.Is(err, ErrNotFound) {
				continue // deleted meanwhile
			}
			if err != nil {
				return err
			}
			text := chunk.Indexed()
			c.coverage, c.closeness = coverage(j.words, j.weights, text), closeness(j.words, j.weights, text)
		}
		return nil
	})
}

// confide gives each hit its confidence.
func (x *Index) confide(j judge, language string, hits []Hit) {
	x.mu.RLock()
	space := x.space
	x.mu.RUnlock()
	for i := range hits {
		h := &hits[i]
		h.Confidence = coverage(j.words, j.weights, h.Chunk.Indexed())
		if h.Vector != nil && space != nil {
			trust, like := trustSame, space.likeness(*h.Vector)
			if across(language, partition(h.Chunk.Language)) {
				trust = trustAcross
			}
			h.Confidence += (1 - h.Confidence) * trust * like * like
		}
	}
}
