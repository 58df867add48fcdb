package parse

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// WithScanned returns c with what was read on the images of pages, each behind
// what the page holds beside: comments, fields, a stamp. Lines that the page's
// own text has already are left out. These pages need no OCR any more.
func (c Content) WithScanned(pages map[int]ScannedPage) (Content, error) {
	m := merger{from: c, out: newBuilder(maxText)}
	for _, n := range slices.Sorted(maps.Keys(pages)) {
		if err := m.copyTo(n); err != nil {
			return Content{}, err
		}
		if err := m.addPage(n, pages[n]); err != nil {
			return Content{}, err
		}
	}
	if err := m.copyTo(c.Pages); err != nil {
		return Content{}, err
	}
	written := m.out.content("", "")
	c.Text, c.Blocks = written.Text, written.Blocks
	c.Warnings = slices.Concat(c.Warnings, written.Warnings)
	c.NeedsOCR = slices.DeleteFunc(slices.Clone(c.NeedsOCR), func(n int) bool { _, read := pages[n]; return read })
	return c, nil
}

// A merger writes the blocks of a content once more, with others between them.
type merger struct {
	from Content
	out  *builder
	next int // the first block not yet copied
	end  int // of the text that is copied

	under []string // the headings that what comes next stands under
	found outline  // those below them that were read on images
}

// copyTo copies the blocks up to those of page n.
func (m *merger) copyTo(n int) error {
	for ; m.next < len(m.from.Blocks) && m.from.Blocks[m.next].Page <= n; m.next++ {
		b := m.from.Blocks[m.next]
		gap, text := m.from.Text[m.end:b.Start], m.from.Text[b.Start:b.End]
		indent := gap[strings.LastIndexByte(gap, '\n')+1:]
		m.end, m.under = b.End, b.Under
		if b.Kind == Heading {
			m.found = outline{}
		}
		moved := m.out.next() + len(indent) - b.Start
		b.Lines = slices.Clone(b.Lines)
		for i := range b.Lines {
			b.Lines[i].Start += moved
			b.Lines[i].End += moved
		}
		if err := m.out.put(b, indent, text); err != nil {
			return err
		}
	}
	return nil
}

// addPage writes what was read on page n, a block for each group of lines.
func (m *merger) addPage(n int, page ScannedPage) error {
	var known []Line
	for i := m.next - 1; i >= 0 && m.from.Blocks[i].Page == n; i-- {
		known = append(known, m.from.Blocks[i].Lines...)
	}
	lines := slices.DeleteFunc(slices.Clone(page.Lines), func(l ScannedLine) bool { return covered(within(l.Box), known) })
	for len(lines) > 0 {
		to := 1
		for to < len(lines) && together(lines[0], lines[to]) {
			to++
		}
		block := Block{Kind: Paragraph, Page: n, Engine: page.Engine, Confidence: confidence(lines[:to])}
		switch {
		case lines[0].Table != 0:
			block.Kind = Table
		case lines[0].Heading > 0:
			block.Kind = Heading
			m.found.enter(lines[0].Heading, joined(lines[:to]))
		}
		block.Under = slices.Concat(m.under, m.found.under())
		if err := m.out.addLines(block, textLines(lines[:to])); err != nil {
			return err
		}
		lines = lines[to:]
	}
	return nil
}

// confidence is the mean of the lines' by their length.
func confidence(lines []ScannedLine) float64 {
	var sum, chars float64
	for _, l := range lines {
		n := float64(utf8.RuneCountInString(l.Text))
		sum, chars = sum+n*share(l.Confidence, 1), chars+n
	}
	return sum / max(chars, 1)
}

// joined is the text of lines as one.
func joined(lines []ScannedLine) string {
	texts := make([]string, len(lines))
	for i, l := range lines {
		texts[i] = l.Text
	}
	return strings.Join(texts, " ")
}

// together reports whether two lines that follow each other are of one block.
func together(a, b ScannedLine) bool {
	return a.Table == b.Table && (a.Table != 0 || a.Paragraph == b.Paragraph)
}

// textLines makes lines of a block. A word of a paragraph that goes on in the
// next line is put together, as those of text layers are.
func textLines(scanned []ScannedLine) []textLine {
	lines := make([]pdfLine, len(scanned))
	for i, l := range scanned {
		lines[i] = pdfLine{text: l.Text, box: within(l.Box)}
		if l.Table == 0 && i+1 < len(scanned) {
			lines[i].text, lines[i].hyphen = cutHyphen(l.Text, scanned[i+1].Text)
		}
	}
	var out []textLine
	for _, l := range joinHyphens(lines) {
		out = append(out, textLine{text: l.text, box: l.box})
	}
	return out
}

// cutHyphen returns a line without the hyphen that cuts its last word, if next
// goes on with small letters.
func cutHyphen(line, next string) (text string, cut bool) {
	line = strings.TrimRight(line, " ")
	r, size := utf8.DecodeLastRuneInString(line)
	before, _ := utf8.DecodeLastRuneInString(line[:len(line)-size])
	after, _ := utf8.DecodeRuneInString(strings.TrimLeft(next, " "))
	if strings.ContainsRune("-\u2010\u00AC\u00AD", r) && unicode.IsLower(before) && unicode.IsLower(after) {
		return line[:len(line)-size], true
	}
	return line, false
}

// within returns a box as [Line] promises it, whatever the engine says.
func within(box [4]float64) [4]float64 {
	x0, y0, x1, y1 := share(box[0], 1), share(box[1], 1), share(box[2], 1), share(box[3], 1)
	return [4]float64{min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)}
}

// covered reports whether at least half of a box lies on a line that is known
// and about as high: the box of a watermark across the page holds lines that are not its own.
func covered(box [4]float64, known []Line) bool {
	tall := box[3] - box[1]
	area := (box[2] - box[0]) * tall
	for _, l := range known {
		width := min(box[2], l.Box[2]) - max(box[0], l.Box[0])
		height := min(box[3], l.Box[3]) - max(box[1], l.Box[1])
		if width > 0 && height > 0 && width*height*2 >= area && l.Box[3]-l.Box[1] <= 3*tall {
			return true
		}
	}
	return false
}
