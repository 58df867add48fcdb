package answer

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMark bounds the text held back because an open bracket may become a citation, in characters.
const maxMark = 24

// A citer cleans a model's answer while it streams: marks such as [1], [1, 2],
// [ 1 ], [1-3], [Documento 1] and 【1】 come out as [1], [1][2] and so on, and
// numbers that are not those of a passage vanish. Text is held back only while
// it may still be part of a mark. What it returns does not depend on how the
// answer was cut into pieces.
type citer struct {
	passages int          // passages are numbered from 1 to this
	cited    map[int]bool // numbers that came out

	tail   string // first bytes of a character
	spaces string // white space that goes if a mark that vanishes follows it
	mark   string // an open bracket and what came after it
	gone   bool   // a mark has vanished after spaces
	inner  bool   // mark stands right after a bracket that stayed open
}

func newCiter(passages int) *citer {
	return &citer{passages: passages, cited: make(map[int]bool)}
}

// Write takes the next piece of the answer and returns what is certain of it.
func (c *citer) Write(piece string) string {
	var out strings.Builder
	piece = c.tail + piece
	for piece != "" && utf8.FullRuneInString(piece) {
		r, size := utf8.DecodeRuneInString(piece)
		c.next(&out, r, piece[:size])
		piece = piece[size:]
	}
	c.tail = piece
	return out.String()
}

// Close returns what was held back.
func (c *citer) Close() string {
	if c.gone && c.mark == "" {
		c.spaces = ""
	}
	rest := c.spaces + c.mark + c.tail
	c.spaces, c.mark, c.tail, c.gone = "", "", "", false
	return rest
}

// next takes the character r, whose bytes are raw.
func (c *citer) next(out *strings.Builder, r rune, raw string) {
	switch {
	case isOpening(r):
		if c.inner = c.mark != ""; c.inner {
			c.flush(out)
		}
		c.mark = raw
	case c.mark != "" && isClosing(r):
		c.settle(out, raw)
	case c.mark != "" && mayCite(r) && utf8.RuneCountInString(c.mark) < maxMark:
		c.mark += raw
	case unicode.IsSpace(r) && c.mark == "":
		if c.gone {
			c.spaces, c.gone = "", false // those after the mark will do
		}
		if len(c.spaces) > maxMark {
			c.flush(out)
		}
		c.spaces += raw
	default:
		if c.gone && c.mark == "" && !isWord(r) {
			c.spaces = "" // "fuente [99]." becomes "fuente."
		}
		c.flush(out)
		out.WriteString(raw)
	}
}

// flush writes what was held back: it is no mark.
func (c *citer) flush(out *strings.Builder) {
	out.WriteString(c.spaces)
	if digits := strings.TrimLeft(c.mark, "["); len(digits) < len(c.mark) && digits != "" && utf8.RuneCountInString(c.mark) >= maxMark && strings.Trim(digits, "0123456789") == "" {
		c.mark = "[ " + digits // too long a number for a passage's must not look like one
	}
	out.WriteString(c.mark)
	c.spaces, c.mark, c.gone = "", "", false
}

// settle decides on the mark that closing ends.
func (c *citer) settle(out *strings.Builder, closing string) {
	_, size := utf8.DecodeRuneInString(c.mark)
	numbers, is := markNumbers(c.mark[size:])
	if !is {
		c.flush(out)
		out.WriteString(closing)
		return
	}
	c.mark = ""
	known := c.known(numbers)
	switch {
	case len(known) > 0:
		c.flush(out)
		for _, n := range known {
			c.cited[n] = true
			out.WriteString("[" + strconv.Itoa(n) + "]")
		}
	case c.inner:
		out.WriteString("()") // nothing at all would make one mark of what stands around it
	default:
		c.gone = true
	}
	c.inner = false
}

// known are those of the numbers from first to last that are passages', each once.
func (c *citer) known(ranges [][2]int) []int {
	var out []int
	seen := make(map[int]bool)
	for _, r := range ranges {
		for n := max(r[0], 1); n <= min(r[1], c.passages); n++ {
			if !seen[n] {
				seen[n] = true
				out = append(out, n)
			}
		}
	}
	return out
}

func isOpening(r rune) bool { return r == '[' || r == '【' || r == '［' }
func isClosing(r rune) bool { return r == ']' || r == '】' || r == '］' }

func mayCite(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(" ,;.^&-–—º°#", r)
}

var (
	markForm = regexp.MustCompile(`^[ ^]*(?:(?:documentos?|docs?|pasajes?|passages?|documents?|fuentes?|sources?|textos?|texts?|refs?|n)\b[.º°#]* *)?(\d+(?: *(?:[,;&–—-]|y|e|and|a|to) *\d+)*)[ .,;]*$`)
	markPart = regexp.MustCompile(`(\d+)(?: *(?:[–—-]|a|to) *(\d+))?`)
)

// markNumbers reads the inside of a bracket as ranges of numbers, if it is nothing else.
func markNumbers(inside string) ([][2]int, bool) {
	m := markForm.FindStringSubmatch(fold(inside))
	if m == nil {
		return nil, false
	}
	var out [][2]int
	for _, part := range markPart.FindAllStringSubmatch(m[1], -1) {
		first, err := strconv.Atoi(part[1])
		if err != nil {
			return nil, true // too great for any passage
		}
		last := first
		if part[2] != "" {
			last, _ = strconv.Atoi(part[2]) // zero, an empty range, when too great
		}
		out = append(out, [2]int{first, last})
	}
	return out, true
}
