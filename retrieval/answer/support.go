package answer

import (
	"maps"
	"regexp"
	"slices"
	"unicode"
)

// Rules of the support check.
const (
	supported    = 0.7 // of an answer's content words in one passage
	supportedNew = 0.5 // of those that the question does not have: what is repeated proves nothing
	minSupported = 3   // content words of an answer; those of a shorter one have to stand in a passage that is surely to the point
)

// A claim is what an answer, or the beginning of one, says, without its marks and the numbers of its list items.
type claim struct {
	cited   []int           // numbers of passages
	asked   map[string]bool // content words of the question
	words   []string        // of content
	fresh   []string        // those of them that the question does not have
	figures []string        // the numbers that are written in digits
	told    []string        // those of them that tell something: not the question's, not single digits
	denies  bool            // it has a negation
}

// itemNumber matches the number of a list item.
var itemNumber = regexp.MustCompile(`(?m)^[ \t>*_#-]*\d{1,3}[.)][*_]*[ \t]+`)

func newClaim(question, answer string) claim {
	text := itemNumber.ReplaceAllString(citation.ReplaceAllString(answer, ""), "")
	c := claim{cited: cited(answer), asked: contentSet(question), words: content(text), figures: figures(text), denies: denies(text)}
	c.fresh = slices.DeleteFunc(slices.Clone(c.words), func(w string) bool { return c.asked[w] })
	long := slices.DeleteFunc(slices.Clone(c.figures), func(f string) bool { return len(figure(f)) < 2 })
	c.told = absent(long, question)
	return c
}

// missing returns the number of the passage that an answer comes from but does
// not cite, or 0: models forget to cite, or cite the wrong passage. It is the
// passage that holds nearly all words of the answer, or else the only one that
// holds its numbers, as an answer may be in another language.
func (c claim) missing(passages []passage) int {
	best, number := 0.0, 0
	for _, p := range passages {
		share := p.supports(c)
		if slices.Contains(c.cited, p.N) && (share >= supported || len(c.told) > 0 && len(absent(c.told, p.whole())) == 0) {
			return 0
		}
		if share > best {
			best, number = share, p.N
		}
	}
	if best < supported {
		number = onlyWithNumbers(passages, c.told)
	}
	if slices.Contains(c.cited, number) {
		return 0
	}
	return number
}

// supports is the share of c's words that stand in p; 0 when one of its figures does not, or too few of those do that
// were not asked. What has few words, or only those of the question, has to be all in one sentence.
func (p passage) supports(c claim) float64 {
	if len(absent(c.figures, p.whole())) > 0 {
		return 0
	}
	if len(c.words) < minSupported || len(c.fresh) == 0 {
		if p.says(c) && (len(c.words) >= minSupported || p.hit.Confidence >= convincing) {
			return 1
		}
		return 0
	}
	have := contentSet(p.whole())
	if share(c.fresh, have) < supportedNew {
		return 0
	}
	return share(c.words, have)
}

// says reports whether a sentence of p holds all words of c and one of the question, and denies as c does.
func (p passage) says(c claim) bool {
	return len(c.words) > 0 && slices.ContainsFunc(sentences(p.Text), func(s sentence) bool {
		return share(c.words, contentSet(s.text)) == 1 && denies(s.text) == c.denies && shared(c.asked, s.text) > 0
	})
}

var negations = setOf("no ni nunca jamas sin ningun ninguna ninguno not never cannot nor neither without t") // t as of don't

// denies reports whether s has a word that turns what is said into its contrary.
func denies(s string) bool {
	return slices.ContainsFunc(words(s), func(w string) bool { return negations[w] })
}

// whole is all that the model reads of p.
func (p passage) whole() string { return p.Place + "\n" + p.Text }

// share is how many of words are in have, as a part of them; 0 of none.
func share(words []string, have map[string]bool) float64 {
	if len(words) == 0 {
		return 0
	}
	n := 0
	for _, w := range words {
		if have[w] {
			n++
		}
	}
	return float64(n) / float64(len(words))
}

// onlyWithNumbers returns the one passage that holds all numbers, or 0. Neighbours, whose texts overlap, are one.
func onlyWithNumbers(passages []passage, numbers []string) int {
	var only *passage
	for i := range passages {
		p := &passages[i]
		if len(numbers) == 0 || len(absent(numbers, p.whole())) > 0 {
			continue
		}
		if only != nil && !only.beside(*p) {
			return 0
		}
		if only == nil {
			only = p
		}
	}
	if only == nil {
		return 0
	}
	return only.N
}

// beside reports whether p and q are chunks of one document, one after the other.
func (p passage) beside(q passage) bool {
	d := p.hit.Chunk.N - q.hit.Chunk.N
	return p.hit.Source.ID == q.hit.Source.ID && (d == 1 || d == -1)
}

// onlySure returns the one passage that is surely to the point, or 0, where it is in another language than the answer's,
// so that most words tell nothing, and shares a word with c, mostly a name or a number, that was not asked.
func (c claim) onlySure(passages []passage, language string) int {
	only := 0
	for _, p := range passages {
		if p.hit.Confidence < convincing {
			continue
		}
		l := p.hit.Chunk.Language
		if only != 0 || l == "" || l == language || len(absent(c.told, p.whole())) > 0 || share(c.fresh, contentSet(p.whole())) == 0 {
			return 0
		}
		only = p.N
	}
	return only
}

// unfounded returns the numbers of c that are in no passage: a model may have made them up.
func (c claim) unfounded(passages []passage) []string {
	numbers := c.told
	for _, p := range passages {
		numbers = absent(numbers, p.whole())
	}
	return numbers
}

// resembles reports whether the passages that c cites hold most of what it says beside its figures.
func (c claim) resembles(passages []passage) bool {
	have := make(map[string]bool)
	for _, p := range passages {
		if slices.Contains(c.cited, p.N) {
			maps.Copy(have, contentSet(p.whole()))
		}
	}
	plain := slices.DeleteFunc(slices.Clone(c.fresh), isNumber)
	return len(plain) >= minSupported && share(plain, have) >= supportedNew
}

func isNumber(w string) bool { return unicode.IsDigit(rune(w[0])) }
