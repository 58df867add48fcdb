package parse

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// spacing maps the accents that TeX's old fonts set as characters of their own,
// before the letter, to the combining accent and the letters that take it.
var spacing = map[rune]struct {
	combining rune
	letters   string
}{
	'´': {'\u0301', "aeiouyAEIOUYı"},
	'`': {'\u0300', "aeiouAEIOUı"},
	'¨': {'\u0308', "aeiouyAEIOUı"},
	'˜': {'\u0303', "nNaAoO"},
	'ˆ': {'\u0302', "aeiouAEIOUı"},
	'¸': {'\u0327', "cCsStT"},
	'ˇ': {'\u030C', "cCsSzZrReEnNdDtT"},
	'˚': {'\u030A', "aAuU"},
}

// ligatures are characters that stand for several.
var ligatures = strings.NewReplacer("ﬀ", "ff", "ﬁ", "fi", "ﬂ", "fl", "ﬃ", "ffi", "ﬄ", "ffl", "ﬅ", "st", "ﬆ", "st")

// cleanPDF mends what PDF documents do to text: "configuraci´on" becomes
// "configuración", a ligature its letters.
func cleanPDF(text string) string {
	text = ligatures.Replace(text)
	if !strings.ContainsFunc(text, isSpacing) {
		return text
	}
	var out strings.Builder
	runes := []rune(text)
	for i := 0; i < len(runes); i++ {
		composed := false
		if i+1 < len(runes) && (runes[i] != '`' || i > 0 && unicode.IsLetter(runes[i-1])) {
			composed = compose(&out, runes[i], runes[i+1])
		}
		if composed {
			i++
		} else {
			out.WriteRune(runes[i])
		}
	}
	return out.String()
}

func isSpacing(r rune) bool {
	_, ok := spacing[r]
	return ok
}

// compose writes letter with its accent, if the two make one.
func compose(out *strings.Builder, accent, letter rune) bool {
	mark, ok := spacing[accent]
	if !ok || !strings.ContainsRune(mark.letters, letter) {
		return false
	}
	if letter == 'ı' {
		letter = 'i'
	}
	out.WriteString(norm.NFC.String(string([]rune{letter, mark.combining})))
	return true
}

// noTitle matches what programs write where a title should be.
var noTitle = regexp.MustCompile(`(?i)^(microsoft (word|powerpoint|excel)\b.*|(untitled|sin t[ií]tulo|documento?|presentaci[oó]n|presentation|libro|book|title|t[ií]tulo)\W*\d*|.*\.(docx?|pdf|od[tps]|pptx?|xlsx?|tex|dvi|indd|qxd|rtf|txt|html?|p65|pub|wpd|ps))$`)

// isTitle reports whether s names a document to a reader.
func isTitle(s string) bool {
	s = strings.TrimSpace(s)
	n := utf8.RuneCountInString(s)
	return n >= 3 && n <= maxHeading && utf8.ValidString(s) && strings.ContainsFunc(s, unicode.IsLetter) && !noTitle.MatchString(s)
}
