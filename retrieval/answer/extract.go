package answer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/acervo-kb/acervo/retrieval"
)

// Rules of a quoted answer.
const (
	quotedPassages  = 3   // at most
	quotedSentences = 3   // at most, in all
	worthQuoting    = 0.6 // of the best sentence's score
	underHeading    = 0.5 // weight of a word that stands in a sentence's headings only
	numberAsked     = 0.5 // added to a sentence with a number when the question asks for one
)

// quote answers with the sentences that answer best, when no model does. It
// shows hits unless passages were shown before.
func (s *session) quote(hits []retrieval.Hit) error {
	if !s.shown {
		passages := make([]passage, len(hits))
		for i, h := range hits {
			passages[i] = passage{N: i + 1, hit: h}
		}
		if confidence(hits) < quotable {
			return s.abstain(Extractive)
		}
		if err := s.show(passages); err != nil {
			return err
		}
	}
	quotes := extract(s.asked, s.passages)
	if len(quotes) == 0 {
		return s.abstain(Extractive)
	}
	var citations []Citation
	var pieces [][2]int // quoted of the passage
	for i, q := range quotes {
		line := fmt.Sprintf("«%s» [%d]", q.text, q.n)
		if i > 0 {
			line = "\n\n" + line
		}
		if err := s.say(line); err != nil {
			return err
		}
		if pieces = append(pieces, q.at); i+1 == len(quotes) || quotes[i+1].n != q.n {
			hit := s.passages[q.n-1].hit
			citations = append(citations, Citation{N: q.n, Hit: hit, Location: hit.Chunk.At(pieces)})
			pieces = nil
		}
	}
	return s.finish(Extractive, citations)
}

// A quote is a sentence of the passage n, word for word but for white space.
type quote struct {
	text  string
	n     int
	at    [2]int // in the passage's text, in bytes
	score float64
}

// extract picks the sentences that share most with the question, in the order of the passages.
func extract(question string, passages []passage) []quote {
	var all []quote
	best := 0.0
	asked := content(question)
	rarity := rareness(asked, passages)
	for _, p := range passages {
		if p.hit.Confidence < quotable {
			continue
		}
		if len(all) > 0 && all[len(all)-1].n >= quotedPassages {
			break
		}
		for _, q := range p.quotes(asked, rarity, asksNumber(question)) {
			best = max(best, q.score)
			all = append(all, q)
		}
	}
	return pick(all, best)
}

// pick keeps the best quotes, in their order.
func pick(all []quote, best float64) []quote {
	ranked := slices.Clone(all)
	slices.SortStableFunc(ranked, func(a, b quote) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return 0
	})
	least := best * worthQuoting
	if len(ranked) > quotedSentences {
		least = max(least, ranked[quotedSentences-1].score)
	}
	var out []quote
	for _, q := range all {
		if q.score >= least && len(out) < quotedSentences && (best > 0 || len(out) == 0) {
			out = append(out, q)
		}
	}
	return out
}

// quotes are the sentences of p with their scores.
func (p passage) quotes(asked []string, rarity map[string]float64, number bool) []quote {
	outer := contentSet(p.hit.Chunk.Title + "\n" + strings.Join(p.hit.Chunk.Heading, "\n"))
	var out []quote
	for _, s := range sentences(p.hit.Chunk.Text) {
		own, above := contentSet(s.text), contentSet(s.heading)
		q := quote{text: s.text, n: p.N, at: s.at}
		for _, w := range asked {
			switch {
			case own[w]:
				q.score += rarity[w]
			case above[w] || outer[w]:
				q.score += rarity[w] * underHeading
			}
		}
		if number && q.score > 0 && hasNumber(s.text) {
			q.score += numberAsked
		}
		out = append(out, q)
	}
	return out
}

// rareness weighs each word asked for: one that stands in every passage tells little.
func rareness(asked []string, passages []passage) map[string]float64 {
	out := make(map[string]float64)
	for _, w := range asked {
		in := 0
		for _, p := range passages {
			if contentSet(p.hit.Chunk.Indexed())[w] {
				in++
			}
		}
		out[w] = 1 / (1 + float64(max(in-1, 0))/float64(len(passages)))
	}
	return out
}

var asking = setOf("cuanto cuanta cuantos cuantas cuando fecha plazo precio importe velocidad temperatura many much when long old tall far date price speed")

// asksNumber says whether a question seems to ask for a number.
func asksNumber(question string) bool {
	return slices.ContainsFunc(words(question), func(w string) bool { return asking[w] })
}

func hasNumber(s string) bool {
	return slices.ContainsFunc(words(s), func(w string) bool { return w[0] >= '0' && w[0] <= '9' || numerals[w] != "" })
}
