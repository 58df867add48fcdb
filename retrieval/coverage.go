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

// A judge knows the words of one question: what each weighs, and its forms. It
// is not for concurrent use.
type judge struct {
	weights []float64      // of the question's words; two forms of one word are one
	all     float64        // their sum
	asked   map[string]int // a form -> its word
	met     map[string]int // words of texts seen so far -> the question's word they are a form of, or -1
}

func newJudge(ws []string, weights []float64) *judge {
	j := &judge{asked: map[string]int{}, met: map[string]int{}}
	for i, w := range ws {
		forms := append(stems(w, ""), w)
		at := slices.IndexFunc(forms, func(f string) bool { _, known := j.asked[f]; return known })
		word := len(j.weights)
		if at >= 0 {
			word = j.asked[forms[at]]
		} else {
			j.weights = append(j.weights, weights[i])
			j.all += weights[i]
		}
		for _, f := range forms {
			j.asked[f] = word
		}
	}
	return j
}

// meets returns which of the question's words w is a form of, or -1.
func (j *judge) meets(w string) int {
	if word, seen := j.met[w]; seen {
		return word
	}
	found := -1
	for _, form := range append(stems(w, ""), w) {
		if word, ok := j.asked[form]; ok {
			found = word
			break
		}
	}
	j.met[w] = found
	return found
}

// nearby is how many words a passage may spread over to count as one place: a sentence or so.
const nearby = 20

// shares returns which share of the question's words, weighed, a text holds
// (coverage), and holds within a few words of each other (closeness): a passage
// that answers has them in one place, one that only shares the subject scattered.
func (j *judge) shares(text string) (coverage, closeness float64) {
	if j.all == 0 {
		return 0, 0
	}
	type meeting struct{ at, word int }
	var window []meeting
	held := make([]int, len(j.weights)) // how often the window holds each
	ever := make([]bool, len(j.weights))
	sum := 0.0
	for at, w := range words(text) {
		word := j.meets(w.text)
		if word < 0 {
			continue
		}
		if !ever[word] {
			ever[word] = true
			coverage += j.weights[word]
		}
		window = append(window, meeting{at, word})
		if held[word]++; held[word] == 1 {
			sum += j.weights[word]
		}
		for window[0].at < at-nearby {
			out := window[0].word
			if held[out]--; held[out] == 0 {
				sum -= j.weights[out]
			}
			window = window[1:]
		}
		closeness = max(closeness, sum)
	}
	return min(1, coverage/j.all), min(1, closeness/j.all) // sums of fractions may end a little above
}

// likeness is where cosine stands between the space's two usual ones, 0–1. A space that does not tell them apart says nothing.
func (s *space) likeness(cosine float64) float64 {
	if s.Related-s.Unrelated < 0.01 {
		return 0
	}
	return min(max((cosine-s.Unrelated)/(s.Related-s.Unrelated), 0), 1)
}

// judge weighs the words of a question by what the index knows of them.
func (x *Index) judge(ctx context.Context, question string) (*judge, error) {
	ws := contentWords(question)
	df, total, err := x.lexical.frequencies(ctx, ws)
	if err != nil {
		return nil, err
	}
	weights := make([]float64, len(ws))
	for i := range ws {
		weights[i] = idf(df[i], total)
	}
	return newJudge(ws, weights), nil
}

// cover looks at the best candidates by words for the share of the question
// that they hold, and hold in one place.
func (x *Index) cover(cs []*candidate, j *judge) error {
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
			c.coverage, c.closeness = j.shares(chunk.Indexed())
		}
		return nil
	})
}

// confide gives each hit its confidence.
func (x *Index) confide(j *judge, language string, hits []Hit) {
	x.mu.RLock()
	space := x.space
	x.mu.RUnlock()
	for i := range hits {
		h := &hits[i]
		h.Confidence, _ = j.shares(h.Chunk.Indexed())
		if h.Vector != nil && space != nil {
			trust, like := trustSame, space.likeness(*h.Vector)
			if across(language, partition(h.Chunk.Language)) {
				trust = trustAcross
			}
			h.Confidence += (1 - h.Confidence) * trust * like * like
		}
	}
}
