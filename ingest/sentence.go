package ingest

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// abbreviations are the Spanish and English words whose full stop ends no
// sentence, in lower case. Single letters (S. A., p. ej.) need no entry.
const abbreviations = " sr sra srta sres sras dr dra dres dras prof profa ing lic arq abg excmo excma ilmo ilma rvdo fr sto sta " +
	"núm num nº art arts pág pag págs pags sec secc cap caps fig figs tab apdo párr inc ap ej cf cfr vid vs aprox máx mín " +
	"ee uu dd hh jj oo cc aa ff avda av c/ ctra pza plza ud uds vd vds admón dpto depto tel teléf tfno ext ref exp rev vol vols ed eds trad coord " +
	"ltd ltda inc corp co cía mr mrs ms st jr messrs gen col capt lt sgt rev hon gov sen rep dept univ assn bros est ave blvd rd " +
	"no nos pp ch chap eq eqs approx e.g i.e viz al op cit ibid jan feb mar apr jun jul aug sept oct nov dec ene abr ago dic " +
	"u.s u.k u.n a.m p.m s.a s.l ee.uu "

// beforeNumber are those that are words of their own, too: they join only what starts with a digit.
const beforeNumber = " no nos mar jun jul inc co col sec fig ed art al est ave gen rep ch tab eq ap cap ext exp ref c/ "

// sentences cuts s into ranges of bytes that cover it whole: each ends where the
// next begins, white space goes with the sentence before it. A rule and a list
// of abbreviations, not a trained model: see TestSentenceRules for what it
// keeps together.
func sentences(s string) [][2]int {
	var found [][2]int
	start := 0
	for i := 0; i < len(s); {
		end, ends := sentenceEnd(s, start, i)
		if ends {
			found = append(found, [2]int{start, end})
			start = end
		}
		i = end
	}
	if start < len(s) {
		found = append(found, [2]int{start, len(s)})
	}
	return found
}

// sentenceEnd looks at the character at i of a sentence that began at start. It
// returns where to look next, and whether the sentence ends there.
func sentenceEnd(s string, start, i int) (next int, ends bool) {
	r, size := utf8.DecodeRuneInString(s[i:])
	after := i + size
	switch r {
	case '\n':
		rest := strings.TrimLeft(s[after:], " \t\r")
		if !strings.HasPrefix(rest, "\n") {
			return after, false
		}
		return skipSpace(s, after), true
	case '。', '！', '？':
		return skipSpace(s, after), true
	case '.', '!', '?', '…':
	default:
		return after, false
	}
	stop := len(s) - len(strings.TrimLeft(s[after:], ".!?…)]}»”’\"'"))
	next = skipSpace(s, stop)
	if next == stop && next < len(s) {
		return stop, false
	}
	abbreviated := r == '.' && stop == after && joins(s[start:i], s[next:])
	return next, !abbreviated && opens(s[next:])
}

func skipSpace(s string, i int) int {
	return len(s) - len(strings.TrimLeftFunc(s[i:], unicode.IsSpace))
}

// opens reports whether a sentence may begin with rest.
func opens(rest string) bool {
	r, _ := utf8.DecodeRuneInString(rest)
	return rest == "" || !unicode.IsLower(r) && !strings.ContainsRune(",;:.)]}", r)
}

// joins reports whether the full stop between before and after belongs to an
// abbreviation, an initial or a list number.
func joins(before, after string) bool {
	tail := before[max(0, len(before)-24):]
	word := strings.ToLower(strings.TrimLeft(tail[strings.LastIndexFunc(tail, unicode.IsSpace)+1:], "([{«“\"'¿¡"))
	if word == "" || strings.Contains(word, " ") {
		return false
	}
	digit := after != "" && after[0] >= '0' && after[0] <= '9'
	if r, size := utf8.DecodeRuneInString(word); size == len(word) && unicode.IsLetter(r) {
		return true
	}
	if len(word) <= 3 && len(word) == len(strings.TrimSpace(before)) && strings.Trim(word, "0123456789") == "" {
		return true // "1. First item"
	}
	key := " " + word + " "
	return strings.Contains(abbreviations, key) && (digit || !strings.Contains(beforeNumber, key))
}
