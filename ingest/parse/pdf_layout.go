package parse

import (
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A pdfBlock is a paragraph of a page, or a heading.
type pdfBlock struct {
	lines       []pdfLine
	size        float64 // of its letters, in half points
	chars       int
	left, right float64 // of its widest extent, as in [Line]
}

// writePages turns the pages of a document into its content, or says why there is none.
func writePages(title string, pages []pdfPage) (Content, error) {
	out := newBuilder(maxText)
	layout := newPDFLayout(pages)
	for i, page := range pages {
		for _, block := range layout.blocks[i] {
			if err := layout.write(out, page.number, block); err != nil {
				return Content{}, err
			}
		}
		for _, note := range page.notes {
			if err := out.add(Block{Kind: Paragraph, Under: layout.outline.under(), Page: page.number}, note); err != nil {
				return Content{}, err
			}
		}
	}
	if title == "" {
		title = layout.title
	}
	content := out.content(title, mimePDF)
	content.Pages = len(pages)
	return content, judge(&content, pages)
}

// judge notes the pages whose text is missing; it refuses content without any
// that OCR cannot help.
func judge(content *Content, pages []pdfPage) error {
	shows := false
	for _, page := range pages {
		shows = shows || page.shows
		switch {
		case page.failed:
			content.PagesFailed = append(content.PagesFailed, page.number)
		case page.ocr:
			content.NeedsOCR = append(content.NeedsOCR, page.number)
		}
	}
	switch {
	case len(content.Blocks) > 0, len(content.NeedsOCR) > 0:
		return nil
	case len(content.PagesFailed) > 0:
		return Errorf(Corrupt, "its pages cannot be read")
	case len(pages) == 0:
		return Errorf(Corrupt, "it has no pages")
	case shows:
		return Errorf(Empty, "it holds drawings, and no text")
	default:
		return Errorf(Empty, "its pages are blank")
	}
}

// headingSize is how much larger than the document's own letters those of a heading are.
const headingSize = 1.2

// A pdfLayout holds the blocks of a document's pages, and what the sizes of
// letters say about its headings.
type pdfLayout struct {
	blocks  [][]pdfBlock // one list a page
	levels  []float64    // sizes of headings, largest first
	outline outline
	title   string // the first heading on the first page, if it is of the largest
}

func newPDFLayout(pages []pdfPage) *pdfLayout {
	l := &pdfLayout{blocks: make([][]pdfBlock, len(pages))}
	weight := map[float64]int{}
	for i, page := range pages {
		l.blocks[i] = paragraphs(page.lines)
		for _, b := range l.blocks[i] {
			weight[b.size] += b.chars
		}
	}
	body := weightedMedian(weight)
	sizes := map[float64]bool{}
	headings, others := 0, 0
	for b := range slices.Values(slices.Concat(l.blocks...)) {
		if b.mayHead(body) {
			sizes[b.size] = true
			headings++
		} else {
			others++
		}
	}
	// Where most blocks look like headings they are posters or slides, not chapters.
	if headings <= others {
		l.levels = slices.SortedFunc(maps.Keys(sizes), func(a, b float64) int { return int(math.Copysign(1, b-a)) })
	}
	return l
}

func (l *pdfLayout) write(out *builder, page int, b pdfBlock) error {
	block := Block{Kind: Paragraph, Page: page}
	level := slices.Index(l.levels, b.size)
	switch {
	case level >= 0 && b.mayHead(0):
		block.Kind = Heading
		title := b.text()
		if l.title == "" && page == 1 && level == 0 && isTitle(title) {
			l.title = title
		}
		l.outline.enter(level+1, title)
	case startsItem(b.lines[0].text):
		block.Kind = Item
	}
	block.Under = l.outline.under()
	lines := make([]textLine, len(b.lines))
	for i, line := range b.lines {
		lines[i] = textLine{text: line.text, box: line.box}
	}
	return out.addLines(block, lines)
}

// mayHead reports whether b reads like a heading in a document of letters of size body.
func (b pdfBlock) mayHead(body float64) bool {
	return b.size >= body*headingSize && len(b.lines) <= 3 && b.chars <= 150 && strings.IndexFunc(b.text(), unicode.IsLetter) >= 0
}

func (b pdfBlock) text() string {
	parts := make([]string, len(b.lines))
	for i, line := range b.lines {
		parts[i] = line.text
	}
	return strings.Join(parts, " ")
}

// weightedMedian is the size that half of the characters do not exceed.
func weightedMedian(weight map[float64]int) float64 {
	total, sum := 0, 0
	for _, w := range weight {
		total += w
	}
	for _, size := range slices.Sorted(maps.Keys(weight)) {
		if sum += weight[size]; sum*2 >= total {
			return size
		}
	}
	return 0
}

// paragraphs cuts the lines of a page, which stand in reading order, where a
// reader sees a new paragraph.
func paragraphs(lines []pdfLine) []pdfBlock {
	lines = joinRows(lines)
	pitch := linePitch(lines)
	var blocks []pdfBlock
	for i, line := range lines {
		if i == 0 || breaks(blocks[len(blocks)-1], line, pitch) {
			blocks = append(blocks, pdfBlock{left: 1})
		}
		b := &blocks[len(blocks)-1]
		b.lines = append(b.lines, line)
		b.chars += utf8.RuneCountInString(line.text)
		b.size = max(b.size, math.Round(line.size*2)/2)
		b.left, b.right = min(b.left, line.box[0]), max(b.right, line.box[2])
	}
	return blocks
}

// joinRows puts together the pieces of one line that pdfium takes apart where
// the baseline jumps, as after a raised figure.
func joinRows(lines []pdfLine) []pdfLine {
	const gap = 0.02 // of the page's width
	var out []pdfLine
	for _, line := range lines {
		if len(out) == 0 || !sameRow(out[len(out)-1], line) || math.Abs(line.box[0]-out[len(out)-1].box[2]) > gap {
			out = append(out, line)
			continue
		}
		last := &out[len(out)-1]
		if r, _ := utf8.DecodeRuneInString(line.text); !strings.ContainsRune(",.;:!?)]}»”’", r) {
			last.text += " "
		}
		last.text += line.text
		last.size = max(last.size, line.size)
		last.box = [4]float64{
			min(last.box[0], line.box[0]), min(last.box[1], line.box[1]),
			max(last.box[2], line.box[2]), max(last.box[3], line.box[3]),
		}
	}
	return out
}

// sameRow reports whether two pieces of text stand beside each other.
func sameRow(a, b pdfLine) bool {
	return min(a.box[3], b.box[3])-max(a.box[1], b.box[1]) > 0.6*min(height(a), height(b))
}

// linePitch is the usual distance from a line to the next, 0 if there is none.
func linePitch(lines []pdfLine) float64 {
	var steps []float64
	for i := 1; i < len(lines); i++ {
		step, height := lines[i].box[1]-lines[i-1].box[1], height(lines[i-1])
		if step > 0.5*height && step < 4*height && overlap(lines[i-1], lines[i]) {
			steps = append(steps, step)
		}
	}
	if len(steps) == 0 {
		return 0
	}
	slices.Sort(steps)
	return steps[(len(steps)-1)/2]
}

// breaks reports whether next starts a paragraph after block.
func breaks(block pdfBlock, next pdfLine, pitch float64) bool {
	prev := block.lines[len(block.lines)-1]
	step, tall := next.box[1]-prev.box[1], height(prev)
	switch {
	case startsItem(next.text):
		return true
	case sameRow(prev, next):
		return false
	case step < 0, !overlap(prev, next): // in another column
		return true
	case step > max(1.35*pitch, 1.25*tall): // large letters have wide gaps
		return true
	case prev.size > 0 && max(next.size/prev.size, prev.size/max(next.size, 0.1)) > 1.15:
		return true
	}
	if !endsSentence(prev.text) {
		return false
	}
	indent := next.box[0] - prev.box[0]
	return block.endsShort() || indent > 0.012 && indent < 0.1
}

func height(l pdfLine) float64 { return max(l.box[3]-l.box[1], 0.001) }

// overlap reports whether two lines share a stretch of the page's width.
func overlap(a, b pdfLine) bool { return a.box[0] < b.box[2] && b.box[0] < a.box[2] }

// endsShort reports whether the last line of a block ends well before the others.
func (b pdfBlock) endsShort() bool {
	return b.lines[len(b.lines)-1].box[2] < b.right-0.15*(b.right-b.left)
}

func endsSentence(s string) bool {
	s = strings.TrimRight(s, " »”\")’")
	return s != "" && strings.ContainsRune(".!?…:;", rune(s[len(s)-1])) || strings.HasSuffix(s, "…")
}

// startsItem reports whether a line starts with the bullet of a list.
func startsItem(s string) bool {
	r, _ := utf8.DecodeRuneInString(strings.TrimLeft(s, " "))
	return strings.ContainsRune("•◦▪‣●○■\uf0b7\uf0a7", r) && r != utf8.RuneError
}

// joinHyphens ends each word on the line where it starts. The hyphen goes where
// it stands between small letters, and stays in "DX-9" or "Júcar-Segura".
func joinHyphens(lines []pdfLine) []pdfLine {
	var out []pdfLine
	for _, line := range lines {
		if len(out) == 0 || !out[len(out)-1].hyphen {
			out = append(out, line)
			continue
		}
		last := &out[len(out)-1]
		word, rest, _ := strings.Cut(strings.TrimLeft(line.text, " "), " ")
		last.text = joinWord(last.text, word)
		last.hyphen = false
		if strings.TrimSpace(rest) == "" {
			last.hyphen = line.hyphen
			continue
		}
		line.text = rest
		out = append(out, line)
	}
	if last := len(out) - 1; last >= 0 && out[last].hyphen {
		out[last].text += "-"
		out[last].hyphen = false
	}
	return out
}

func joinWord(head, tail string) string {
	before, _ := utf8.DecodeLastRuneInString(head)
	after, _ := utf8.DecodeRuneInString(tail)
	if unicode.IsLower(before) && unicode.IsLower(after) {
		return head + tail
	}
	return head + "-" + tail
}
