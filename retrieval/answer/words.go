package answer

import (
	"cmp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// fold returns s in lower case without accents. Its length may differ from that of s.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(s))
}

// words returns the words and numbers of s, folded. A number keeps its inner
// points and commas: 1.250,75 is one word.
func words(s string) []string {
	var out []string
	runes := []rune(fold(s))
	for start := 0; start < len(runes); start++ {
		if !isWord(runes[start]) {
			continue
		}
		end := start + 1
		for end < len(runes) && (isWord(runes[end]) || innerMark(runes, end)) {
			end++
		}
		out = append(out, string(runes[start:end]))
		start = end
	}
	return out
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

func innerMark(runes []rune, i int) bool {
	return (runes[i] == '.' || runes[i] == ',') && i+1 < len(runes) && unicode.IsDigit(runes[i-1]) && unicode.IsDigit(runes[i+1])
}

// content returns the stems of the words of s that carry meaning, each once, in order. Numbers are in digits.
func content(s string) []string {
	var out []string
	seen := make(map[string]bool)
	for _, w := range words(s) {
		if stopWords[w] || len(w) < 2 && !isNumber(w) {
			continue
		}
		if w = cmp.Or(numerals[w], stem(w)); !seen[w] {
			seen[w] = true
			out = append(out, w)
		}
	}
	return out
}

// contentSet is [content] as a set.
func contentSet(s string) map[string]bool {
	set := make(map[string]bool)
	for _, w := range content(s) {
		set[w] = true
	}
	return set
}

// stem cuts the endings by which the forms of a Spanish or English word differ
// most. It only has to make two forms of a word equal, not to name its root.
func stem(w string) string {
	if unicode.IsDigit(rune(w[0])) {
		return w
	}
	return cutEnding(cutEnding(w, 3), 4) // delivered, deliver
}

// cutEnding cuts the first of endings that leaves at least so many letters.
func cutEnding(w string, least int) string {
	for _, ending := range endings {
		if root, cut := strings.CutSuffix(w, ending); cut && len(root) >= least {
			return root
		}
	}
	return w
}

// endings are tried in order; the longer of two that fit comes first.
var endings = []string{
	"aciones", "iciones", "uciones", "amiento", "imiento", "acion", "icion", "ucion", "mente", "iendo", "ieron",
	"ando", "aron", "aran", "eran", "iran", "ados", "adas", "idos", "idas", "ing", "ies", "ado", "ada", "ido", "ida", "ara", "era", "ira",
	"ar", "er", "ir", "an", "en", "as", "es", "os", "ed", "s", "a", "e", "o", "y",
}

var stopWords = setOf(`
a al algo alguna algunas alguno algunos ante aquel aquella asi aun aunque cada como con contra cual cuales cualquier cuando cuanta cuantas
cuanto cuantos de debe deben del desde donde e el ella ellas ellos en entre era eran es esa esas ese eso esos esta estan estas este esto estos
fue fueron ha haber habra han hasta hay he la las le les lo los mas me mi mientras muy ni no nos o para pero por porque pues puede pueden que quien
quienes se sea segun ser si sido sin sobre solo son su sus tal tambien tan te tiene tienen toda todas todo todos tras tu tuvo un una unas uno unos y ya
about after all also am an and any are as at be been before being but by can could did do does doing during each for from had has have
having her here him his how i if in into is it its itself just may me might more most much many must my no nor not of off on once only or other our
out over own same shall she should so some such than that the their them then there these they this those through to too under until up very
was we were what when where which while who whom whose why will with would you your`)

func setOf(list string) map[string]bool {
	set := make(map[string]bool)
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}

// numerals are the digits of numbers that are written out, folded.
var numerals = digitsOf(`2 dos two, 3 tres three, 4 cuatro four, 5 cinco five, 6 seis six, 7 siete seven, 8 ocho eight, 9 nueve nine, 10 diez ten,
11 once eleven, 12 doce twelve, 13 trece thirteen, 14 catorce fourteen, 15 quince fifteen, 16 dieciseis sixteen, 17 diecisiete seventeen,
18 dieciocho eighteen, 19 diecinueve nineteen, 20 veinte twenty, 21 veintiun veintiuno veintiuna, 22 veintidos, 23 veintitres, 24 veinticuatro,
25 veinticinco, 26 veintiseis, 27 veintisiete, 28 veintiocho, 29 veintinueve, 30 treinta thirty, 40 cuarenta forty, 50 cincuenta fifty,
60 sesenta sixty, 70 setenta seventy, 80 ochenta eighty, 90 noventa ninety, 100 cien hundred, 200 doscientos doscientas, 300 trescientos trescientas,
400 cuatrocientos cuatrocientas, 500 quinientos quinientas, 600 seiscientos seiscientas, 700 setecientos setecientas, 800 ochocientos ochocientas,
900 novecientos novecientas, 1000 mil thousand, 1000000 millon millones million`)

func digitsOf(list string) map[string]string {
	out := make(map[string]string)
	for entry := range strings.SplitSeq(list, ",") {
		names := strings.Fields(entry)
		for _, name := range names[1:] {
			out[name] = names[0]
		}
	}
	return out
}
