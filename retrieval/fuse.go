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
	// Shares of the question's words that it holds, and holds in one place; for the best by words.
	coverage, closeness float64
	score               float64 // fused, 0–1
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
	// question's words in one place. A combination of normalised scores beats rank fusion (Bruch et al., TOIS 2023).
	Words float64
	// Explained is the closeness (see coverage.go) from which on words count; what they are worth grows from
	// there with the square. Between languages a passage shares little but names, and
	// words that leave most of a question unexplained must not outvote its meaning.
	Explained float64
	// Covered and Close are what the share of the question's words that a passage holds, and that it holds in
	// one place, are worth beside its BM25 score, which knows neither.
	Covered, Close float64
	// Across is what words are worth between two languages.
	Across float64
	// Level is how far the lower level of another language's cosines is lifted to that of the question's own:
	// an embedder prefers its question's language (facts/retrieval.md §11).
	Level float64
	// Deep is how many cosines of a language it takes to know its level in full.
	Deep int
}

var defaultWeights = weights{Words: 2.2, Explained: 0.25, Covered: 0.5, Close: 1, Across: 0.95, Level: 1, Deep: 50}

// fuse gives each candidate its score, 0–1. Without vectors the order is that
// of the words, and the other way round. Prior is the lift of another language
// as far as the candidates do not tell it.
func fuse(cs []*candidate, language string, prior float64, w weights) {
	lift := levels(cs, language, prior, w)
	best, low, high, near := 0.0, 0.0, 0.0, false
	for _, c := range cs {
		best = max(best, c.lexical)
		if c.near {
			v := c.vector + lift[c.language]
			if !near {
				low, high = v, v
			}
			low, high, near = min(low, v), max(high, v), true
		}
	}
	for _, c := range cs {
		meaning := 0.0
		if c.near {
			meaning = 1
			if high > low {
				meaning = (c.vector + lift[c.language] - low) / (high - low)
			}
		}
		c.score = w.words(c, language, best)
		switch {
		case near && c.embedded:
			c.score = w.combine(c.score, meaning, c.closeness)
		case near: // what has no vector yet is judged by its words alone, as far as they explain the question
			c.score *= w.explained(c.closeness)
		}
	}
}

// words is what speaks for a candidate by its words, 0–1; best is the best BM25 score there is.
func (w weights) words(c *candidate, question string, best float64) float64 {
	if c.lexical == 0 {
		return 0
	}
	score := (c.lexical/best + w.Covered*c.coverage + w.Close*c.closeness) / (1 + w.Covered + w.Close)
	if across(question, c.language) {
		score *= w.Across
	}
	return score
}

// combine weighs the two scores of a candidate, both 0–1, by how much of the question its words explain.
func (w weights) combine(words, meaning, closeness float64) float64 {
	explained := w.explained(closeness)
	return (meaning + w.Words*explained*explained*words) / (1 + w.Words)
}

// explained is how much of the question words explain that stand that close, 0–1.
func (w weights) explained(closeness float64) float64 {
	return max(0, (closeness-w.Explained)/(1-w.Explained))
}

// across says whether question and passage are known to be in two languages.
func across(question, passage string) bool {
	return question != "" && passage != "xx" && partition(question) != "xx" && question != passage
}

// levels returns what to add to the cosines of each language so that its level
// meets that of the question's: what the candidates show, the surer the more of
// them there are, and the prior for the rest.
func levels(cs []*candidate, language string, prior float64, w weights) map[string]float64 {
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
		lift[l] = w.Level * (sure*max(0, level(own, w.Deep)-level(list, w.Deep)) + (1-sure)*prior)
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
