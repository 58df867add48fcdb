package answer

import (
	"strings"
	"unicode"
)

// Rules of the support check.
const (
	supported    = 0.7 // of an answer's content words in one passage
	supportedNew = 0.5 // of those that the question does not have, where there are any: what is repeated proves nothing of them
	minSupported = 3   // content words it must have
)

// missing returns the number of the passage that an answer comes from but does
// not cite, or 0: models forget to cite, or cite the wrong passage. It is the
// passage that holds nearly all words of the answer, or else the only one that
// holds its numbers, as an answer may be in another language.
func missing(passages []passage, cited map[int]bool, question, answer string) int {
	said, asked := content(citation.ReplaceAllString(answer, "")), contentSet(question)
	best, number := 0.0, 0
	for _, p := range passages {
		share := p.supports(said, asked)
		if cited[p.N] && share >= supported {
			return 0
		}
		if share > best {
			best, number = share, p.N
		}
	}
	if best < supported {
		number = onlyWithNumbers(passages, told(question, answer))
	}
	if cited[number] {
		return 0
	}
	return number
}

// supports is the share of the words said that stand in p; 0 when a number
// does not, when too few of those do that were not asked, or when there are too
// few words to tell.
func (p passage) supports(said []string, asked map[string]bool) float64 {
	if len(said) < minSupported {
		return 0
	}
	have := contentSet(p.Place + "\n" + p.Text)
	found, fresh, freshFound := 0, 0, 0
	for _, w := range said {
		if !have[w] && isNumber(w) {
			return 0
		}
		if have[w] {
			found++
		}
		if !asked[w] {
			fresh++
			if have[w] {
				freshFound++
			}
		}
	}
	if float64(freshFound) < supportedNew*float64(fresh) {
		return 0
	}
	return float64(found) / float64(len(said))
}

// onlyWithNumbers returns the one passage that holds all numbers, or 0.
func onlyWithNumbers(passages []passage, numbers []string) int {
	only := 0
	for _, p := range passages {
		if len(numbers) == 0 || len(absent(numbers, p.Text)) > 0 {
			continue
		}
		if only != 0 {
			return 0
		}
		only = p.N
	}
	return only
}

// onlySure returns the one passage that is surely to the point, or 0, where it is in another language than the answer's,
// so that most words tell nothing, and shares a name or a number with it that was not asked.
func onlySure(passages []passage, language, question, answer string) int {
	only := 0
	for _, p := range passages {
		if p.hit.Confidence < convincing {
			continue
		}
		l := p.hit.Chunk.Language
		if only != 0 || l == "" || l == language || len(absent(told(question, answer), p.Text)) > 0 || !sharesTraits(question, answer, p.Text) {
			return 0
		}
		only = p.N
	}
	return only
}

// sharesTraits reports whether a word or a number of an answer that was not in the question is in text.
func sharesTraits(question, answer, text string) bool {
	asked, have := traits(question), traits(text)
	for t := range traits(citation.ReplaceAllString(answer, "")) {
		if have[t] && !asked[t] {
			return true
		}
	}
	return false
}

// traits are what a text may share with its translation: content words, among them the names, and numbers in digits.
func traits(s string) map[string]bool {
	out := contentSet(s)
	for _, w := range words(s) {
		if d := numerals[w]; d != "" {
			out[d] = true
		}
	}
	return out
}

// told returns the numbers of an answer that were not in the question. Single digits tell nothing, nor does the 00 of 9:00.
func told(question, answer string) []string {
	var out []string
	for _, w := range words(citation.ReplaceAllString(answer, "")) {
		if isNumber(w) && len(digits(w)) > 1 && w != "00" {
			out = append(out, w)
		}
	}
	return absent(out, question)
}

// unfounded returns the numbers of an answer that are in no passage: a model may have made them up.
func unfounded(passages []passage, question, answer string) []string {
	numbers := told(question, answer)
	for _, p := range passages {
		numbers = absent(numbers, p.Place+"\n"+p.Text)
	}
	return numbers
}

// absent returns those of numbers that are not in text, however they are written there.
func absent(numbers []string, text string) []string {
	have := make(map[string]bool)
	for _, w := range words(text) {
		have[digits(w)] = true
		have[numerals[w]] = true
	}
	var out []string
	for _, n := range numbers {
		if !have[digits(n)] {
			out = append(out, n)
		}
	}
	return out
}

// digits are those of w.
func digits(w string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return r
		}
		return -1
	}, w)
}

func isNumber(w string) bool { return unicode.IsDigit(rune(w[0])) }
