package answer

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxQuote bounds a quoted sentence, in characters.
const maxQuote = 600

// A sentence is a run of a chunk's text, with single spaces, and the heading it stands under within the chunk.
type sentence struct {
	text    string
	heading string
	at      [2]int // where it starts and ends in the text, in bytes
	titles  bool   // it is a heading
}

// sentences splits a chunk's text. Headings are no sentences of their own:
// their words belong to what stands below them.
func sentences(text string) []sentence {
	return slices.DeleteFunc(sentencesAndHeadings(text), func(s sentence) bool { return s.titles })
}

func sentencesAndHeadings(text string) []sentence {
	var out []sentence
	heading, end := "", 0
	for _, b := range blocks(text) {
		h, is := asHeading(b)
		if is {
			heading = h
		}
		for _, s := range splitSentences(b) {
			at := find(text, end, s)
			end = at[1]
			out = append(out, sentence{text: s, heading: heading, at: at, titles: is})
		}
	}
	return out
}

// find returns where s stands in text, of which it is what comes next from a byte on but for white space.
func find(text string, from int, s string) [2]int {
	start := skipSpace(text, from)
	end := start
	for word := range strings.FieldsSeq(s) {
		end = skipSpace(text, end) + len(word)
	}
	return [2]int{start, end}
}

func skipSpace(s string, i int) int {
	return len(s) - len(strings.TrimLeftFunc(s[i:], unicode.IsSpace))
}

// newItem matches a line that begins something of its own: a heading, a list item, a row.
var newItem = regexp.MustCompile(`^\s*(?:#|[-*+•–]\s|\||\d{1,3}[.)]\s)`)

// blocks are the paragraphs, list items, rows and headings of text, each on one line.
func blocks(text string) []string {
	var out, open []string // open are the lines of a block that may go on
	end := func() {
		if len(open) > 0 && !areRows(open) {
			open = []string{strings.Join(open, " ")}
		}
		out, open = append(out, open...), nil
	}
	for line := range strings.Lines(text) {
		squeezed := strings.Join(strings.Fields(line), " ")
		if squeezed == "" || newItem.MatchString(line) {
			end()
		}
		if squeezed != "" {
			open = append(open, squeezed)
		}
		if strings.HasPrefix(squeezed, "#") || strings.HasPrefix(squeezed, "|") {
			end()
		}
	}
	end()
	return out
}

// areRows recognises the lines of a table that nothing rules: there are several, most have a number, and none goes on
// with a sentence, as that would begin with a small letter.
func areRows(lines []string) bool {
	numbers := 0
	for _, l := range lines {
		if first, _ := utf8.DecodeRuneInString(l); unicode.IsLower(first) {
			return false
		}
		if strings.ContainsAny(l, "0123456789") {
			numbers++
		}
	}
	return len(lines) > 2 && 2*numbers > len(lines)
}

// asHeading recognises a Markdown heading, and a short block that does not end as a sentence does.
func asHeading(block string) (string, bool) {
	if strings.HasPrefix(block, "#") {
		return strings.TrimLeft(block, "# "), true
	}
	last, _ := utf8.DecodeLastRuneInString(block)
	short := len(strings.Fields(block)) <= 6
	return block, short && !newItem.MatchString(block) && !strings.ContainsAny(block, "0123456789|:") && unicode.IsLetter(last)
}

// sentenceEnd matches the end of what may be a sentence, with what closes it.
var sentenceEnd = regexp.MustCompile(`[.!?…]+["'”’»)\]]*\s+`)

func splitSentences(block string) []string {
	var out []string
	start := 0
	for _, m := range sentenceEnd.FindAllStringIndex(block, -1) {
		if endsSentence(block[start:m[0]], block[m[0]:m[1]], block[m[1]:]) {
			out = append(out, cutLong(strings.TrimSpace(block[start:m[1]]))...)
			start = m[1]
		}
	}
	if rest := strings.TrimSpace(block[start:]); rest != "" {
		out = append(out, cutLong(rest)...)
	}
	return out
}

// abbreviations do not end a sentence with their point.
var abbreviations = setOf(`sr sra srta sres dr dra drs d dna dona prof ing lic excmo ilmo art arts cap caps num nums no pag pags pp p vol ed eds ej etc av avda
c ctra pza tel fax ext aprox max min ref fig figs mr mrs ms st jr inc ltd co corp dept vs cf al ee uu approx ave jan feb mar apr jun jul aug sep sept oct nov dec ene abr ago dic`)

// endsSentence says whether mark, which stands between before and after, ends a sentence.
func endsSentence(before, mark, after string) bool {
	next, _ := utf8.DecodeRuneInString(after)
	if unicode.IsLower(next) {
		return false
	}
	return mark[0] != '.' || strings.HasPrefix(mark, "..") || !abbreviates(before)
}

// abbreviates reports whether a point behind s is that of an abbreviation: S. L., D. Juan, EE.UU., 12.3.
func abbreviates(s string) bool {
	last := s[strings.LastIndexAny(s, " \n(¿¡«\"*_")+1:]
	return strings.Contains(last, ".") || utf8.RuneCountInString(last) == 1 && !unicode.IsDigit(rune(last[0])) || abbreviations[fold(last)]
}

// cutLong cuts what is too long to be quoted at its spaces, into pieces that are.
func cutLong(s string) []string {
	var out []string
	for utf8.RuneCountInString(s) > maxQuote {
		end := len(string([]rune(s)[:maxQuote]))
		if space := strings.LastIndexByte(s[:end], ' '); space > 0 {
			end = space
		}
		out = append(out, s[:end])
		s = strings.TrimSpace(s[end:])
	}
	return append(out, s)
}
