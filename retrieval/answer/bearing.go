package answer

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/acervo-kb/acervo/retrieval"
)

// Rules of the search for the sentences that bear a claim.
const (
	recognised = 0.35 // of a claim's words, that a passage must hold to be searched
	worthGoing = 0.25 // of the weight of these, that a further sentence must add
	hint       = 0.1  // weight of a word of the question, beside one of the claim: it decides between equals
)

// lateMark matches marks that stand behind the end of their sentence.
var lateMark = regexp.MustCompile(`([.!?…]+["'”’»)\]]*)((?:\s*\[\d+\])+)`)

// claims returns for each number cited in an answer the sentences that cite it. One without a number goes with the
// next that has one, as models number a paragraph at its end, or else with the last.
func claims(text string) map[int][]string {
	out := make(map[int][]string)
	var waiting []string
	var last []int
	for _, b := range blocks(lateMark.ReplaceAllString(text, "$2$1")) {
		for _, s := range splitSentences(b) {
			waiting = append(waiting, citation.ReplaceAllString(s, ""))
			numbers := cited(s)
			for _, n := range numbers {
				out[n] = append(out[n], waiting...)
			}
			if len(numbers) > 0 {
				waiting, last = nil, numbers
			}
		}
	}
	for _, n := range last {
		out[n] = append(out[n], waiting...)
	}
	return out
}

// cited are the numbers of the marks in s, each once.
func cited(s string) []int {
	var out []int
	for _, m := range citation.FindAllString(s, -1) {
		if n, err := strconv.Atoi(strings.Trim(m, "[] ")); err == nil && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// cite cites, of the chunks that p was made of, the one that shares most words with the claims, and in it the
// sentences that bear them.
func (p passage) cite(claims, asked []string) Citation {
	hit := p.hit
	said := contentSet(strings.Join(claims, "\n"))
	best := shared(said, hit.Chunk.Text)
	for _, c := range p.chunks {
		if n := shared(said, c.Text); n > best {
			best, hit.Chunk = n, c
		}
	}
	return Citation{N: p.N, Hit: hit, Location: hit.Chunk.At(bearing(hit.Chunk, claims, asked))}
}

func shared(words map[string]bool, text string) int {
	n := 0
	for w := range contentSet(text) {
		if words[w] {
			n++
		}
	}
	return n
}

// bearing returns where in c's text the sentences stand that bear the claims, in order; nothing where none does.
func bearing(c retrieval.Chunk, claims, asked []string) [][2]int {
	sentences := sentencesAndHeadings(c.Text)
	b := bearings{have: make([]map[string]bool, len(sentences)), in: make(map[string]float64), asked: alike(asked)}
	for i, s := range sentences {
		b.have[i] = make(map[string]bool)
		for _, w := range alike(content(s.text)) {
			b.have[i][w] = true
			b.in[w]++
		}
	}
	chosen := make(map[int]bool)
	for _, claim := range claims {
		b.choose(chosen, alike(content(claim)))
	}
	var out [][2]int
	for i, s := range sentences {
		if chosen[i] {
			out = append(out, s.at)
		}
	}
	return out
}

// bearings are the sentences of a passage as what may bear a claim.
type bearings struct {
	have  []map[string]bool  // the words of each
	in    map[string]float64 // how many of them a word stands in: a common one tells little
	asked []string           // words of the question
}

// choose adds the fewest sentences that hold what there is of a claim.
func (b bearings) choose(chosen map[int]bool, claim []string) {
	there := slices.DeleteFunc(slices.Clone(claim), func(w string) bool { return b.in[w] == 0 })
	number := slices.ContainsFunc(there, func(w string) bool { return isNumber(w) && len(w) > 1 })
	if !number && float64(len(there)) < recognised*float64(len(claim)) {
		return
	}
	whole := 0.0
	for _, w := range there {
		whole += 1 / b.in[w]
	}
	for len(there) > 0 {
		best, gain := b.best(there)
		if gain < worthGoing*whole {
			return
		}
		chosen[best] = true
		there = slices.DeleteFunc(there, func(w string) bool { return b.have[best][w] })
	}
}

// best is the first of the sentences that hold most of some words by weight, and that weight.
func (b bearings) best(words []string) (best int, gain float64) {
	most := 0.0
	for i, own := range b.have {
		weight, hints := 0.0, 0.0
		for _, w := range words {
			if own[w] {
				weight += 1 / b.in[w]
			}
		}
		for _, w := range b.asked {
			if own[w] {
				hints += hint
			}
		}
		if weight > 0 && weight+hints > most {
			best, gain, most = i, weight, weight+hints
		}
	}
	return best, gain
}

// alike are words, each once, in which a number is one however it is punctuated: 1.250,00 and 1250 are the same.
func alike(words []string) []string {
	var out []string
	for _, w := range words {
		if isNumber(w) {
			w = figure(w)
		}
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}
