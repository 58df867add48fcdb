package answer

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// figures returns the numbers of s that are written in digits, each once and in one form: 1.250,00 and 1 250 are 1250,
// 09:00 is 9. One, which may be an article, and zero, as of minutes, tell nothing.
func figures(s string) []string {
	var out []string
	found := words(s)
	for i := 0; i < len(found); i++ {
		f := figure(found[i])
		if !isNumber(found[i]) {
			continue
		}
		for whole := len(f) <= 3; whole && i+1 < len(found) && isThousands(found[i+1]); i++ {
			f += found[i+1]
		}
		if f != "0" && f != "1" && !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

var (
	leadingNumber = regexp.MustCompile(`\d[\d.,]*`)
	leadingZeros  = regexp.MustCompile(`^0+(\d)`)
	separators    = strings.NewReplacer(".", "", ",", "")
)

// figure is the first number within w in the form of [figures], or "".
func figure(w string) string {
	f := leadingNumber.FindString(w)
	f = strings.TrimSuffix(strings.TrimSuffix(f, ",00"), ".00")
	return separators.Replace(leadingZeros.ReplaceAllString(f, "$1"))
}

// isThousands recognises the further groups of a number that is written with spaces.
func isThousands(w string) bool { return len(w) == 3 && strings.Trim(w, "0123456789") == "" }

// absent returns those of figures that are not in text, however they are written there.
func absent(figures []string, text string) []string {
	have := make(map[string]bool)
	group := "" // of a number written with spaces, as far as it came
	found := words(text)
	for i, w := range found {
		f := figure(w)
		have[f] = true
		switch {
		case group != "" && isThousands(w):
			group += w
			have[group] = true
		case isNumber(w) && len(f) <= 3:
			group = f
		default:
			group = ""
		}
		have[numerals[w]] = true
		have[compound(found[i:])] = true
	}
	return slices.DeleteFunc(slices.Clone(figures), func(f string) bool { return have[f] })
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
