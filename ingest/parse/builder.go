package parse

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// maxText is how much text a document may hold, in bytes. A library of 64 MiB
// of plain text is some 20,000 pages; what is beyond is a mistake or an attack.
const maxText = 64 << 20

// maxBlocks bounds what the blocks of a hostile file weigh beside its text.
const maxBlocks = 2 << 20

// A textLine is a line of a page and its box, as in [Line].
type textLine struct {
	text string
	box  [4]float64
}

// A builder puts blocks together to a [Content] that keeps its promises: clean
// NFC text, blocks in order, offsets that hold. Every parser writes through it.
type builder struct {
	text     strings.Builder
	blocks   []Block
	warnings []string
	limit    int // bytes of text
	hidden   int // characters removed that a reader cannot see
}

func newBuilder(limit int) *builder { return &builder{limit: limit} }

// add appends a block whose text is text, cleaned; an empty one is skipped.
// Start, End and Lines of block are set here. Line breaks are kept: a parser
// whose format reflows text has removed them. An item's indentation is
// written before its block, where it shows and belongs to no text.
func (b *builder) add(block Block, text string) error {
	indent := ""
	if block.Kind == Item {
		indent = indentation(text)
	}
	return b.put(block, indent, b.clean(text, isVerbatim(block.Kind)))
}

// addLines appends a block of lines, each with its box; empty lines are skipped.
func (b *builder) addLines(block Block, lines []textLine) error {
	start, text := b.next(), strings.Builder{}
	block.Lines = make([]Line, 0, len(lines))
	for _, l := range lines {
		clean := strings.ReplaceAll(b.clean(l.text, isVerbatim(block.Kind)), "\n", " ")
		if strings.TrimSpace(clean) == "" {
			continue
		}
		if text.Len() > 0 {
			text.WriteByte('\n')
		}
		from := start + text.Len()
		text.WriteString(clean)
		block.Lines = append(block.Lines, Line{Start: from, End: start + text.Len(), Box: l.box})
	}
	return b.put(block, "", text.String())
}

// warn adds a sentence for the user.
func (b *builder) warn(format string, args ...any) {
	b.warnings = append(b.warnings, fmt.Sprintf(format, args...))
}

// content returns what was added. The title is cleaned; it may be empty.
func (b *builder) content(title, mime string) Content {
	title = strings.Join(strings.Fields(b.clean(title, false)), " ")
	switch {
	case b.hidden == 1:
		b.warn("1 hidden character removed")
	case b.hidden > 1:
		b.warn("%d hidden characters removed", b.hidden)
	}
	return Content{
		Title: shorten(title), MIME: mime, Text: b.text.String(), Blocks: b.blocks, Warnings: b.warnings,
	}
}

// next is where the text of the next block starts.
func (b *builder) next() int {
	if b.text.Len() == 0 {
		return 0
	}
	return b.text.Len() + len("\n\n")
}

func (b *builder) put(block Block, indent, text string) error {
	if text == "" {
		return nil
	}
	if b.text.Len()+len(indent)+len(text) > b.limit || len(b.blocks) == maxBlocks {
		return Errorf(TooLarge, "it holds more than %d MiB of text: split it into parts", b.limit>>20)
	}
	if b.text.Len() > 0 {
		b.text.WriteString("\n\n")
	}
	b.text.WriteString(indent)
	block.Start = b.text.Len()
	b.text.WriteString(text)
	block.End = b.text.Len()
	b.blocks = append(b.blocks, block)
	return nil
}

// clean returns text in NFC without what a reader cannot see. Where verbatim
// is false, runs of white space become one space and empty lines go.
func (b *builder) clean(text string, verbatim bool) string {
	var out strings.Builder
	out.Grow(len(text))
	previous := rune(0)
	for _, r := range strings.ToValidUTF8(text, "\uFFFD") {
		switch {
		case r == '\n' && previous == '\r':
		case isBreak(r):
			out.WriteByte('\n')
		case r == '\t':
			out.WriteByte('\t')
		case unicode.Is(unicode.Zs, r):
			out.WriteByte(' ')
		case isHidden(r):
			b.hidden++
		case unicode.IsControl(r), r == '\u00AD', r == '\uFEFF', r == '\uFFFE', r == '\uFFFF':
		default:
			out.WriteRune(r)
		}
		previous = r
	}
	return layOut(norm.NFC.String(out.String()), verbatim)
}

// layOut trims lines, and where text is not verbatim the spaces inside them.
func layOut(text string, verbatim bool) string {
	var out strings.Builder
	out.Grow(len(text))
	for line := range strings.SplitSeq(text, "\n") {
		if verbatim {
			out.WriteString(strings.TrimRight(line, " \t"))
			out.WriteByte('\n')
			continue
		}
		if writeFields(&out, line) {
			out.WriteByte('\n')
		}
	}
	return strings.Trim(out.String(), "\n")
}

// writeFields writes line with one space between words; false if it has none.
func writeFields(out *strings.Builder, line string) bool {
	wrote := false
	for word := range strings.FieldsSeq(line) {
		if wrote {
			out.WriteByte(' ')
		}
		out.WriteString(word)
		wrote = true
	}
	return wrote
}

func isVerbatim(k Kind) bool { return k == Table || k == Preformatted }

// indentation returns the spaces that text starts with, at most 16.
func indentation(text string) string {
	n := len(text) - len(strings.TrimLeft(text, " "))
	return strings.Repeat(" ", min(n, 16))
}

// isBreak reports whether r ends a line: CR, LF, VT, FF, NEL, LS, PS.
func isBreak(r rune) bool {
	return r >= '\n' && r <= '\r' || r == '\u0085' || r == '\u2028' || r == '\u2029'
}

// isHidden reports whether r shows nothing and can carry a message past a
// reader, or turn one around: zero-width and joining characters, directional
// marks, invisible operators, tags and the variation selectors beside them.
func isHidden(r rune) bool {
	switch {
	case r >= '\u200B' && r <= '\u200F', r >= '\u202A' && r <= '\u202E':
	case r >= '\u2060' && r <= '\u2064', r >= '\u2066' && r <= '\u2069':
	case r == '\u061C', r >= 0xE0000 && r <= 0xE01EF:
	default:
		return false
	}
	return true
}

// maxHeading bounds a title or heading in a path, in characters: the path is
// repeated in each block and each chunk.
const maxHeading = 200

// shorten cuts s at the last word within maxHeading characters.
func shorten(s string) string {
	n := 0
	for i := range s {
		if n == maxHeading {
			cut := strings.LastIndexByte(s[:i], ' ')
			if cut <= 0 {
				cut = i
			}
			return s[:cut]
		}
		n++
	}
	return s
}

// maxPath bounds the headings of a path; where there are more levels, the last stands for all below it.
const maxPath = 32

// An outline follows the headings of a document. Its zero value is ready.
type outline struct {
	levels []int
	path   []string
}

// enter notes a heading of a level (1 is outermost) and returns its path,
// which must not be changed; [outline.under] returns the same until the next.
// One without a visible title changes nothing.
func (o *outline) enter(level int, title string) []string {
	title = shorten(strings.Join(strings.Fields((&builder{}).clean(title, false)), " "))
	if title == "" {
		return o.path
	}
	keep := len(o.levels)
	for keep > 0 && (o.levels[keep-1] >= level || keep >= maxPath) {
		keep--
	}
	o.levels = append(o.levels[:keep], level)
	o.path = append(o.path[:keep:keep], title)
	return o.path
}

// under is the path of the headings that what follows stands under.
func (o *outline) under() []string { return o.path }
