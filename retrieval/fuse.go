package retrieval

import (
	"cmp"
	"slices"
)

// A candidate is a text that a retriever found.
type candidate struct {
	ref      ref // the chunk to show for it
	language string
	lexical  float64 // BM25; 0 where not found by words
	vector   float64 // cosine, where near
	near     bool    // found by its vector
	embedded bool    // has a vector at all
	coverage float64 // share of the question's words that it holds, for the best by words
	score    float64 // fused, 0–1
}

// better orders candidates, best first; ties by chunk, so that an order is the same again.
func better(a, b *candidate) int {
	if c := cmp.Compare(b.score, a.score); c != 0 {
		return c
	}
	if c := cmp.Compare(a.ref.entry.source.ID, b.ref.entry.source.ID); c != 0 {
		return c
	}
	return cmp.Compare(a.ref.n, b.ref.n)
}

// weights decide how [fuse] weighs the two lists. They were chosen on XQuAD,
// articles 1 to 24, in a haystack, with multilingual-e5-small (cmd/acervo-eval).
type weights struct {
	// Words is what the best passage by words is worth beside the best by meaning, if it holds all the
	// question's words. A combination of normalised scores beats rank fusion (Bruch et al., TOIS 2023).
	Words float64
	// Explained is the share of the question's words (see coverage.go) from which on words count; what they
	// are worth grows from there with the square. Between languages a passage shares little but names, and
	// words that leave most of a question unexplained must not outvote its meaning.
	Explained float64
	// Across is what words are worth between two languages.
	Across float64
	// Level is how far the lower level of another language's cosines is lifted to that of the question's own:
	// an embedder prefers its question's language (facts/retrieval.md §11).
	Level float64
	// Deep is how many cosines of a language it takes to know its level in full.
	Deep int
}

var defaultWeights = weights{Words: 1.5, Explained: 0.4, Across: 0.9, Level: 1, Deep: 50}

// fuse gives each candidate its score, 0–1. Without vectors the order is that
// of the words, and the other way round.
func fuse(cs []*candidate, language string, w weights) {
	lift := levels(cs, language, w)
	best, low, high, near := 0.0, 0.0, 0.0, false
	for _, c := range cs {
		best = max(best, w.words(c, language))
		if c.near {
			v := c.vector + lift[c.language]
			if !near {
				low, high = v, v
			}
			low, high, near = min(low, v), max(high, v), true
		}
	}
	for _, c := range cs {
		words, meaning := 0.0, 0.0
		if best > 0 {
			words = w.words(c, language) / best
		}
		if c.near {
			meaning = 1
			if high > low {
				meaning = (c.vector + lift[c.language] - low) / (high - low)
			}
		}
		c.score = words
		if near && c.embedded { // what has no vector yet is judged by its words alone
			c.score = w.combine(words, meaning, c.coverage)
		}
	}
}

// words is a candidate's BM25 score, for what it is worth in its language.
func (w weights) words(c *candidate, question string) float64 {
	if across(question, c.language) {
		return w.Across * c.lexical
	}
	return c.lexical
}

// combine weighs the two scores of a candidate, both 0–1, by the share of the question's words that it holds.
func (w weights) combine(words, meaning, coverage float64) float64 {
	explained := max(0, (coverage-w.Explained)/(1-w.Explained))
	return (meaning + w.Words*explained*explained*words) / (1 + w.Words)
}

// across says whether question and passage are known to be in two languages.
func across(question, passage string) bool {
	return question != "" && passage != "xx" && partition(question) != "xx" && question != passage
}

// levels returns what to add to the cosines of each language so that its level meets that of the question's.
func levels(cs []*candidate, language string, w weights) map[string]float64 {
	cosines := map[string][]float64{}
	for _, c := range cs {
		if c.near {
			cosines[c.language] = append(cosines[c.language], c.vector)
		}
	}
	own := cosines[language]
	lift := map[string]float64{}
	for l, list := range cosines {
		if !across(language, l) || len(own) == 0 {
			continue
		}
		sure := float64(min(len(own), len(list), w.Deep)) / float64(w.Deep)
		lift[l] = w.Level * sure * max(0, level(own, w.Deep)-level(list, w.Deep))
	}
	return lift
}

// level is the mean of the best n cosines.
func level(cosines []float64, n int) float64 {
	slices.SortFunc(cosines, func(a, b float64) int { return cmp.Compare(b, a) })
	cosines = cosines[:min(n, len(cosines))]
	sum := 0.0
	for _, c := range cosines {
		sum += c
	}
	return sum / float64(len(cosines))
}
