package parse

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// How much of a page must look wrong for its text to be held to be no text. The
// limits leave room for tables of codes, formulas and languages not known here.
const (
	judgedChars  = 16 // fewer characters say nothing
	judgedMixed  = 10 // so do fewer words of mixed alphabets
	judgedWords  = 30 // and fewer words
	strangeShare = 5  // one in so many characters is of no alphabet
	mixedShare   = 4  // one in so many words mixes alphabets
	commonShare  = 50 // fewer than one in so many words is a common one
	oddShare     = 3  // one in so many words is none of any language
)

// A verdict counts what tells a text from the numbers of a font's glyphs, or
// from what a bad engine once read.
type verdict struct {
	chars, strange            int
	words, mixed              int
	latin, common, oddlySpelt int
}

// signs are the bullets, arrows, boxes and ticks of the fonts Symbol and Wingdings: of no alphabet, and good.
const signs = "\uf06c\uf06e\uf06f\uf071\uf0a7\uf0a8\uf0b7\uf0d8\uf0e0\uf0fb\uf0fc\uf0fd\uf0fe"

// garbled reports whether the text of a page is not what the page shows.
func garbled(lines []pdfLine) bool {
	var v verdict
	for _, line := range lines {
		for word := range strings.FieldsSeq(line.text) {
			v.see(strings.TrimLeft(word, signs))
		}
	}
	switch {
	case v.chars >= judgedChars && v.strange*strangeShare > v.chars:
		return true
	case v.words >= judgedMixed && v.mixed*mixedShare > v.words:
		return true
	default:
		return v.latin >= judgedWords && v.common*commonShare < v.latin && v.oddlySpelt*oddShare > v.latin
	}
}

func (v *verdict) see(word string) {
	for _, r := range word {
		v.chars++
		if isStrange(r) {
			v.strange++
		}
	}
	for part := range strings.FieldsFuncSeq(word, isStrange) {
		v.seeWord(strings.TrimFunc(part, func(r rune) bool { return !unicode.IsLetter(r) }))
	}
}

// isStrange reports whether r is no character of a text: of private use, of
// nothing, or a control.
func isStrange(r rune) bool {
	return r == unicode.ReplacementChar || unicode.IsControl(r) || unicode.Is(unicode.Co, r) ||
		!unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cf)
}

// alphabets are those that no word mixes.
var alphabets = []*unicode.RangeTable{
	unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Armenian, unicode.Hebrew, unicode.Arabic,
	unicode.Devanagari, unicode.Thai, unicode.Georgian, unicode.Ethiopic, unicode.Cherokee, unicode.Hangul,
}

func (v *verdict) seeWord(word string) {
	letters := 0
	used := map[*unicode.RangeTable]bool{}
	for _, r := range word {
		if !unicode.IsLetter(r) {
			continue
		}
		letters++
		if i := slices.IndexFunc(alphabets, func(t *unicode.RangeTable) bool { return unicode.Is(t, r) }); i >= 0 {
			used[alphabets[i]] = true
		}
	}
	if letters < 2 || strings.ContainsFunc(word, unicode.IsDigit) {
		return
	}
	v.words++
	if len(used) > 1 && letters > 2 { // units do: kΩ, μs
		v.mixed++
	}
	if !used[unicode.Latin] {
		return
	}
	v.latin++
	if commonWords[strings.ToLower(word)] {
		v.common++
	} else if letters >= 3 && isOdd(word) {
		v.oddlySpelt++
	}
}

// isOdd reports whether no language spells a word so: without a vowel, with five
// consonants in a row, with signs between its letters or capitals after small letters.
func isOdd(word string) bool {
	vowels, row, longest, lower, turns := 0, 0, 0, false, 0
	for _, r := range norm.NFD.String(word) {
		switch {
		case unicode.Is(unicode.M, r):
		case strings.ContainsRune("#$%^*~|\\{}<>=+_`¢£¥§¤¦¬", r):
			return true
		case !unicode.IsLetter(r):
			row, lower = 0, false
		case strings.ContainsRune("aeiouyæøœı", unicode.ToLower(r)):
			vowels++
			row = 0
		default:
			row++
			longest = max(longest, row)
		}
		if unicode.IsUpper(r) && lower {
			turns++
		}
		lower = unicode.IsLower(r)
	}
	return vowels == 0 || longest >= 5 || turns >= 2
}

// commonWords are the commonest of the languages of most documents. Any text in
// one of them has several a line.
var commonWords = func() map[string]bool {
	all := map[string]bool{}
	for word := range strings.FieldsSeq(`
		de la el en que los las del se por con no una un para su al es lo como más o sus este entre ha
		the of and to in is that for on with as by it at from are be this was or an not have which you
		le les des et à du dans est pour qui une sur au par plus ne pas ce il
		der die und das den von zu mit im für auf dem nicht ein eine ist auch
		di il che per della non sono gli nel alla da i e com um uma os não dos das na
		amb els per és van het een dat niet op te zijn voor och att som på av til og det er
		w na z do nie się jest v že je si în și cu pe nu din bir ve bu için ile`) {
		all[word] = true
	}
	return all
}()
