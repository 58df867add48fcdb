package answer

import "unicode"

// Rules of the support check.
const (
	supported    = 0.7 // of an answer's content words in one passage
	minSupported = 3   // content words it must have
)

// missing returns the number of the passage that an answer comes from but does
// not cite, or 0: models forget to cite, or cite the wrong passage. It is the
// passage that holds nearly all words of the answer, or else the only one that
// holds its numbers, as an answer may be in another language.
func missing(passages []passage, cited map[int]bool, question, answer string) int {
	said := content(citation.ReplaceAllString(answer, ""))
	best, number := 0.0, 0
	for _, p := range passages {
		share := p.supports(said)
		if cited[p.N] && share >= supported {
			return 0
		}
		if share > best {
			best, number = share, p.N
		}
	}
	if best < supported {
		number = onlyWithNumbers(passages, said, contentSet(question))
	}
	if cited[number] {
		return 0
	}
	return number
}

// supports is the share of the words said that stand in p; 0 when a number
// does not, or when there are too few words to tell.
func (p passage) supports(said []string) float64 {
	if len(said) < minSupported {
		return 0
	}
	have := contentSet(p.Place + "\n" + p.Text)
	found := 0
	for _, w := range said {
		switch {
		case have[w]:
			found++
		case isNumber(w):
			return 0
		}
	}
	return float64(found) / float64(len(said))
}

// onlyWithNumbers returns the one passage that holds every number said that was
// not in the question, or 0. Single digits tell nothing.
func onlyWithNumbers(passages []passage, said []string, asked map[string]bool) int {
	var told []string
	for _, w := range said {
		if isNumber(w) && len(w) > 1 && !asked[w] {
			told = append(told, w)
		}
	}
	only := 0
	for _, p := range passages {
		if len(told) == 0 || !holds(contentSet(p.Text), told) {
			continue
		}
		if only != 0 {
			return 0
		}
		only = p.N
	}
	return only
}

func holds(have map[string]bool, words []string) bool {
	for _, w := range words {
		if !have[w] {
			return false
		}
	}
	return true
}

func isNumber(w string) bool { return unicode.IsDigit(rune(w[0])) }
