package answer

import "unicode"

// Rules of the support check.
const (
	supported    = 0.7 // of an answer's content words in one passage
	minSupported = 3   // content words it must have
)

// supports is the share of the answer's content words that stand in p; 0 when
// one of its numbers does not, or when it has too few words to tell.
func (p passage) supports(answer string) float64 {
	said := content(answer)
	if len(said) < minSupported {
		return 0
	}
	have := contentSet(p.Place + "\n" + p.Text)
	found := 0
	for _, w := range said {
		switch {
		case have[w]:
			found++
		case unicode.IsDigit(rune(w[0])):
			return 0
		}
	}
	return float64(found) / float64(len(said))
}

// missing returns the number of the passage that an answer comes from but does
// not cite, or 0: models forget to cite, or cite the wrong passage. It is
// sought only when no passage that is cited supports the answer.
func missing(passages []passage, cited map[int]bool, answer string) int {
	answer = citation.ReplaceAllString(answer, "")
	best, number := 0.0, 0
	for _, p := range passages {
		share := p.supports(answer)
		if cited[p.N] && share >= supported {
			return 0
		}
		if share > best {
			best, number = share, p.N
		}
	}
	if best < supported || cited[number] {
		return 0
	}
	return number
}
