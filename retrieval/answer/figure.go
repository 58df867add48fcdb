package answer

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// figures returns the numbers of s that are written in digits, each once, as they are written but for spaces. The 00 of
// 9:00 is none.
func figures(s string) []string {
	var out []string
	for _, w := range words(joined(s)) {
		if isNumber(w) && w != "00" && !slices.ContainsFunc(out, func(o string) bool { return figure(o) == figure(w) }) {
			out = append(out, w)
		}
	}
	return out
}

// spaced matches a number whose thousands are set apart by spaces of any kind, as the Academia wants them.
var spaced = regexp.MustCompile(`(^|[^\d.,])(\d{1,3}(?:[ \x{a0}\x{2009}\x{202f}]\d{3})+)\b`)

var spaces = strings.NewReplacer(" ", "", "\u00a0", "", "\u2009", "", "\u202f", "")

// joined is s with the spaces within its numbers taken out.
func joined(s string) string {
	return spaced.ReplaceAllStringFunc(s, func(m string) string {
		parts := spaced.FindStringSubmatch(m)
		return parts[1] + spaces.Replace(parts[2])
	})
}

var (
	leadingNumber = regexp.MustCompile(`\d[\d.,]*`)
	leadingZeros  = regexp.MustCompile(`^0+(\d)`)
	separators    = strings.NewReplacer(".", "", ",", "")
)

// figure is the first number within w in a form of which each number has one: 1250 for 1.250,00, 9 for 09, 05 for 0,5;
// "" where there is none.
func figure(w string) string {
	f := leadingNumber.FindString(w)
	f = strings.TrimSuffix(strings.TrimSuffix(f, ",00"), ".00")
	return separators.Replace(leadingZeros.ReplaceAllString(f, "$1"))
}

// absent returns those of figures that are not in text, however they are written there.
func absent(figures []string, text string) []string {
	have := make(map[string]bool)
	found := words(text + "\n" + joined(text)) // what stands apart may be one number or two
	for i, w := range found {
		have[figure(w)] = true
		have[numerals[w]] = true
		have[compound(found[i:])] = true
	}
	return slices.DeleteFunc(slices.Clone(figures), func(f string) bool { return have[figure(f)] })
}

// compound is the number that words begin with where it is of two: treinta y cinco, thirty-five. Else it is "".
func compound(words []string) string {
	tens, err := strconv.Atoi(numerals[words[0]])
	if rest := words[1:]; err == nil && tens >= 20 && tens < 100 && len(rest) > 0 {
		if rest[0] == "y" && len(rest) > 1 {
			rest = rest[1:]
		}
		if unit, err := strconv.Atoi(numerals[rest[0]]); err == nil && unit < 10 {
			return strconv.Itoa(tens + unit)
		}
		if rest[0] == "un" || rest[0] == "uno" || rest[0] == "una" || rest[0] == "one" {
			return strconv.Itoa(tens + 1)
		}
	}
	return ""
}
