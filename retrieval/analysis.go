package retrieval

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kljensen/snowball/english"
	"github.com/kljensen/snowball/spanish"
	"golang.org/x/text/unicode/norm"
)

// Text and questions go through the same functions, here, so that they meet
// whatever their case, accents and endings. The word index and the coverage of
// a question both build on them.

// maxWord is the length in bytes at which a word is cut: longer ones are not language.
const maxWord = 64

// fold returns s in lower case, without accents (ñ is n) and with
// compatibility forms resolved (ﬁ is fi).
func fold(s string) string {
	if !isASCII(s) {
		s = strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Mn, r) {
				return -1
			}
			return r
		}, norm.NFKD.String(s))
	}
	return strings.ToLower(s)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// A word of a text, folded. Glued says that no white space parts it from the
// word before, as in the code ZX-0007.
type word struct {
	text  string
	glued bool
}

// words cuts s into words. A number keeps its inner points and commas
// (1.250,75 is one word); of a script without spaces each character is one.
func words(s string) []word {
	s = fold(s)
	var out []word
	glued := false
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if !isWord(r) {
			glued = glued && !unicode.IsSpace(r)
			i += size
			continue
		}
		end := wordEnd(s, i)
		out = append(out, word{cut(s[i:end]), glued})
		glued, i = true, end
	}
	return out
}

// wordEnd returns where the word that starts at i ends.
func wordEnd(s string, i int) int {
	r, size := utf8.DecodeRuneInString(s[i:])
	if isIdeograph(r) {
		return i + size
	}
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		inner := (r == '.' || r == ',') && isDigit(s, i-1) && isDigit(s, i+1)
		if !inner && (!isWord(r) || isIdeograph(r)) {
			break
		}
		i += size
	}
	return i
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

func isDigit(s string, i int) bool { return i >= 0 && i < len(s) && '0' <= s[i] && s[i] <= '9' }

func isIdeograph(r rune) bool {
	return r >= 0x0E00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

func cut(w string) string {
	if len(w) <= maxWord {
		return w
	}
	end := maxWord
	for !utf8.RuneStart(w[end]) {
		end--
	}
	return w[:end]
}

// exactTerms are the terms of the exact field: the words, and each two that
// are glued, so that a code is found before its parts.
func exactTerms(ws []word) []string {
	out := make([]string, 0, len(ws)+len(ws)/8)
	for i, w := range ws {
		out = append(out, w.text)
		if w.glued && i > 0 {
			out = append(out, ws[i-1].text+"-"+w.text)
		}
	}
	return out
}

// stemTerms are the terms of the stem field: the stems of the words that carry
// meaning in a language (es or en; any other: in both).
func stemTerms(ws []word, language string) []string {
	out := make([]string, 0, len(ws))
	for _, w := range ws {
		if stopWords[w.text] {
			continue
		}
		out = append(out, stems(w.text, language)...)
	}
	return out
}

// stems returns the stem of a word in a language, or its different stems in Spanish and English.
func stems(w, language string) []string {
	switch language {
	case "es":
		return []string{stemSpanish(w)}
	case "en":
		return []string{stemEnglish(w)}
	}
	es, en := stemSpanish(w), stemEnglish(w)
	if es == en {
		return []string{es}
	}
	return []string{es, en}
}

func stemEnglish(w string) string {
	if !stemmable(w) {
		return w
	}
	return english.Stem(w, true)
}

// stemSpanish is Snowball's stemmer for words without accents. It mends what
// Snowball leaves apart: the accent of -ción that folding took, plurals in -ces
// (luces and luz), and plurals of words so short that Snowball leaves them
// alone (años, días, obras).
func stemSpanish(w string) string {
	if !stemmable(w) {
		return w
	}
	switch {
	case strings.HasSuffix(w, "cion"):
		w = w[:len(w)-2] + "ón"
	case strings.HasSuffix(w, "ces") && len(w) > 4:
		w = w[:len(w)-3] + "z"
	}
	stem := fold(spanish.Stem(w, true))
	if n := len(stem); n > 3 && stem == w && stem[n-1] == 's' && strings.IndexByte("aeo", stem[n-2]) >= 0 {
		return stem[:n-1]
	}
	return stem
}

// stemmable says whether w is a word of ASCII letters, as folded Spanish and English ones are.
func stemmable(w string) bool {
	for i := range len(w) {
		if w[i] < 'a' || w[i] > 'z' {
			return false
		}
	}
	return len(w) > 2
}
