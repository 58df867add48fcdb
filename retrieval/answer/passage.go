package answer

import (
	"context"
	"strings"

	"github.com/acervo-kb/acervo/retrieval"
)

// Rules of the choice of passages.
const (
	perDocument = 3   // of one document, unless nothing else is left: a stuffed document must not fill the context
	widened     = 2   // best passages that are read with their neighbours
	fetch       = 3   // hits fetched for each passage wanted
	margin      = 0.9 // of the budget; our count is near the model's, not equal to it
)

// A passage is a hit as the model reads it: numbered, fenced, perhaps with its neighbours.
type passage struct {
	N     int
	Place string
	Text  string

	hit    retrieval.Hit
	chunks []retrieval.Chunk // what Text was made of, in the document's order
}

// choose picks k of hits, best first, with no more than perDocument of one
// document as long as there are others.
func choose(hits []retrieval.Hit, k int) []retrieval.Hit {
	of := make(map[string]int)
	taken := make([]bool, len(hits))
	count := 0
	for _, limit := range []int{perDocument, k} {
		for i, h := range hits {
			if count < k && !taken[i] && of[h.Source.ID] < limit {
				taken[i] = true
				of[h.Source.ID]++
				count++
			}
		}
	}
	var out []retrieval.Hit
	for i, h := range hits {
		if taken[i] {
			out = append(out, h)
		}
	}
	return out
}

// newPassage is the hit numbered n, as yet without neighbours.
func newPassage(n int, h retrieval.Hit, language, marker string) passage {
	return passage{
		N: n, hit: h, chunks: []retrieval.Chunk{h.Chunk},
		Place: defuse(place(h, language), marker),
		Text:  defuse(h.Chunk.Text, marker),
	}
}

// widen adds to the best passages the chunks beside them as far as room tokens
// allow, and returns the tokens added. A neighbour that cannot be had, or is a
// passage itself, is left.
func (a *Answerer) widen(ctx context.Context, passages []passage, marker string, room int) (added int) {
	shown := make(map[string]bool)
	for _, p := range passages {
		shown[p.hit.Chunk.ID] = true
	}
	for i := range passages[:min(widened, len(passages))] {
		p := &passages[i]
		for _, n := range []int{p.hit.Chunk.N + 1, p.hit.Chunk.N - 1} {
			if n < 0 {
				continue
			}
			c, err := a.cfg.Index.Chunk(ctx, p.hit.Source.ID, n)
			if err != nil || shown[c.ID] {
				continue
			}
			chunks := append([]retrieval.Chunk{c}, p.chunks...)
			if n > p.hit.Chunk.N {
				chunks = append(append([]retrieval.Chunk{}, p.chunks...), c)
			}
			text := defuse(join(chunks), marker)
			if cost := a.cfg.Count(text) - a.cfg.Count(p.Text); added+cost <= room {
				added += cost
				shown[c.ID] = true
				p.chunks, p.Text = chunks, text
			}
		}
	}
	return added
}

// maxOverlap bounds the text that neighbouring chunks share, in bytes.
const maxOverlap = 2000

// join returns the text of neighbouring chunks with what they share said once.
func join(chunks []retrieval.Chunk) string {
	text := strings.TrimSpace(chunks[0].Text)
	for _, c := range chunks[1:] {
		next := strings.TrimSpace(c.Text)
		if n := overlap(text, next); n > 0 {
			text += next[n:]
			continue
		}
		text += "\n" + next
	}
	return text
}

// overlap is the length of the longest end of a that b begins with.
func overlap(a, b string) int {
	for n := min(len(a), len(b), maxOverlap); n > 0; n-- {
		if strings.HasSuffix(a, b[:n]) {
			return n
		}
	}
	return 0
}
