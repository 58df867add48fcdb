package sidecar

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// The labels of Surya's blocks that something is decided on; all others are text. Source: LAYOUT_LABEL_SET of surya 0.20.
const (
	labelHeading = "Section-Header"
	labelBlank   = "Blank-Page"
)

var (
	labelMargins  = []string{"Page-Header", "Page-Footer"}
	labelPictures = []string{"Image", "Figure", "Diagram"}
)

// A suryaAnswer is what Surya wrote of a page, as blocks.
type suryaAnswer struct {
	blocks   []suryaBlock // those with text, in reading order
	labelled int          // blocks in all: none in what is no answer
	pictures int
}

// A suryaBlock is one div of the answer.
type suryaBlock struct {
	label string
	box   [4]float64 // parts of the page; all of it where the answer does not say
	level int        // of a heading
	lines []suryaLine
}

type suryaLine struct {
	text  string
	table int // counts the answer's tables from 1; 0 in none
}

// parseSurya reads the HTML that Surya writes: divs with data-label and data-bbox (0 to 1000), one a block. The HTML is
// a model's, so nothing of it is kept but text: no tag, no attribute, nothing of scripts, no description of a picture.
func parseSurya(answer string) suryaAnswer {
	r := suryaReader{tokens: html.NewTokenizer(strings.NewReader(answer))}
	for {
		switch r.tokens.Next() {
		case html.ErrorToken:
			r.endLine()
			r.answer.blocks = slices.DeleteFunc(r.answer.blocks, func(b suryaBlock) bool { return len(b.lines) == 0 })
			return r.answer
		case html.TextToken:
			r.text(string(r.tokens.Text()))
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := r.tokens.TagName()
			r.open(atom.Lookup(name), more)
		case html.EndTagToken:
			name, _ := r.tokens.TagName()
			r.close(atom.Lookup(name))
		}
	}
}

// A suryaReader walks through an answer. It recurses nowhere, so no depth of tags hurts it.
type suryaReader struct {
	tokens *html.Tokenizer
	answer suryaAnswer
	divs   []int // of each open div, the block that its text belongs to, from 1; 0 is none
	line   strings.Builder
	lists  []int // the number of the last item of each open list; -1 where they have none
	tables int
	table  int // in hand; 0: none
	cells  int // of the row in hand
	pre    bool
	raised bool
	silent bool // in what is no text: a script's source
}

// block is the one that text belongs to now; nil where it belongs to none.
func (r *suryaReader) block() *suryaBlock {
	if n := len(r.divs); n > 0 && r.divs[n-1] > 0 {
		return &r.answer.blocks[r.divs[n-1]-1]
	}
	return nil
}

func (r *suryaReader) open(tag atom.Atom, more bool) {
	r.silent = tag == atom.Script || tag == atom.Style
	if !r.silent {
		r.tokens.NextIsNotRawText()
	}
	switch tag {
	case atom.Div:
		r.endLine()
		r.openDiv(more)
	case atom.Br, atom.P, atom.Hr, atom.Caption:
		r.endLine()
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		r.endLine()
		if b := r.block(); b != nil && b.label == labelHeading {
			b.level = int(tag.String()[1] - '0')
		}
	case atom.Pre:
		r.endLine()
		r.pre = true
	case atom.Ul, atom.Ol:
		r.endLine()
		r.lists = append(r.lists, map[bool]int{true: 0, false: -1}[tag == atom.Ol])
	case atom.Li:
		r.endLine()
		r.item()
	case atom.Table:
		r.endLine()
		r.tables++
		r.table = r.tables
	case atom.Tr:
		r.endLine()
	case atom.Td, atom.Th:
		if r.cells++; r.cells > 1 {
			r.line.WriteString(" | ")
		}
	case atom.Sup:
		r.raised = true
	case atom.Input:
		r.input(more)
	}
}

func (r *suryaReader) close(tag atom.Atom) {
	r.silent = false
	switch tag {
	case atom.Div:
		r.endLine()
		if n := len(r.divs); n > 0 {
			r.divs = r.divs[:n-1]
		}
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Li, atom.Tr, atom.Caption:
		r.endLine()
	case atom.Pre:
		r.endLine()
		r.pre = false
	case atom.Ul, atom.Ol:
		r.endLine()
		if n := len(r.lists); n > 0 {
			r.lists = r.lists[:n-1]
		}
	case atom.Table:
		r.endLine()
		r.table = 0
	case atom.Sup:
		r.raised = false
	}
}

// openDiv begins a block where the div has a label, and goes on with the one it stands in where it has none.
func (r *suryaReader) openDiv(more bool) {
	label, box := "", ""
	for more {
		var name, value []byte
		name, value, more = r.tokens.TagAttr()
		switch string(name) {
		case "data-label":
			label = string(value)
		case "data-bbox":
			box = string(value)
		}
	}
	if label == "" {
		inside := 0
		if n := len(r.divs); n > 0 {
			inside = r.divs[n-1]
		}
		r.divs = append(r.divs, inside)
		return
	}
	r.answer.labelled++
	if slices.Contains(labelPictures, label) {
		r.answer.pictures++
	}
	if slices.Contains(labelPictures, label) || label == labelBlank {
		r.divs = append(r.divs, 0) // what is said in it is no text of the page
		return
	}
	b := suryaBlock{label: label, box: suryaBox(box)}
	if label == labelHeading {
		b.level = 2
	}
	r.answer.blocks = append(r.answer.blocks, b)
	r.divs = append(r.divs, len(r.answer.blocks))
	r.table, r.lists, r.pre, r.raised = 0, nil, false, false // what an earlier block left open
}

// item writes what an item of a list begins with.
func (r *suryaReader) item() {
	n := len(r.lists)
	if n == 0 {
		return
	}
	if r.lists[n-1] < 0 {
		r.line.WriteString("• ")
		return
	}
	r.lists[n-1]++
	r.line.WriteString(strconv.Itoa(r.lists[n-1]) + ". ")
}

// input writes a field of a form: a box as what it shows, ticked or not, and any other as its value.
func (r *suryaReader) input(more bool) {
	kind, value, checked := "", "", false
	for more {
		var name, v []byte
		name, v, more = r.tokens.TagAttr()
		switch string(name) {
		case "type":
			kind = string(v)
		case "value":
			value = string(v)
		case "checked":
			checked = true
		}
	}
	switch {
	case kind != "checkbox" && kind != "radio":
		r.text(value)
	case checked:
		r.text("☒ ")
	default:
		r.text("☐ ")
	}
}

// raised are the digits that Unicode has as superscripts: m² is not m2.
var raisedDigits = strings.NewReplacer("0", "⁰", "1", "¹", "2", "²", "3", "³", "4", "⁴", "5", "⁵", "6", "⁶", "7", "⁷", "8", "⁸", "9", "⁹")

func (r *suryaReader) text(s string) {
	if r.silent || r.block() == nil {
		return
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	if r.raised {
		s = raisedDigits.Replace(s)
	}
	if !r.pre {
		r.line.WriteString(s)
		return
	}
	for i, part := range strings.Split(s, "\n") {
		if i > 0 {
			r.endLine()
		}
		r.line.WriteString(part)
	}
}

// endLine gives the line in hand to its block, if it says anything.
func (r *suryaReader) endLine() {
	text, cells := r.line.String(), r.cells
	r.line.Reset()
	r.cells = 0
	if r.pre {
		text = strings.TrimRightFunc(text, unicode.IsSpace)
	} else {
		text = strings.Join(strings.Fields(text), " ")
	}
	b := r.block()
	if b == nil || strings.Trim(text, "|• \t") == "" {
		return
	}
	if cells > 0 {
		text = "| " + text + " |" // as the tables of other formats
	}
	b.lines = append(b.lines, suryaLine{text: text, table: r.table})
}

// suryaBox is a box of "x0 y0 x1 y1", of 0 to 1000, as parts of the page; the whole page where it is none.
func suryaBox(text string) [4]float64 {
	whole := [4]float64{0, 0, 1, 1}
	fields := strings.FieldsFunc(text, func(r rune) bool { return r != '.' && r != '-' && (r < '0' || r > '9') })
	if len(fields) != 4 {
		return whole
	}
	var n [4]float64
	for i, field := range fields {
		x, err := strconv.ParseFloat(field, 64)
		if err != nil || math.IsNaN(x) {
			return whole
		}
		n[i] = within(x / 1000)
	}
	box := [4]float64{min(n[0], n[2]), min(n[1], n[3]), max(n[0], n[2]), max(n[1], n[3])}
	if box[0] == box[2] || box[1] == box[3] {
		return whole
	}
	return box
}

// page are the answer's blocks as lines. Headers and footers of the page are left out, unless there is nothing else.
func (a suryaAnswer) page(confidence float64) parse.ScannedPage {
	body := slices.DeleteFunc(slices.Clone(a.blocks), func(b suryaBlock) bool { return slices.Contains(labelMargins, b.label) })
	if len(body) == 0 {
		body = a.blocks
	}
	var page parse.ScannedPage
	for i, b := range body {
		for _, line := range b.lines {
			page.Lines = append(page.Lines, parse.ScannedLine{
				Text: line.text, Box: b.box, Confidence: confidence, Paragraph: i + 1, Table: line.table, Heading: b.level,
			})
		}
	}
	if len(page.Lines) > 0 {
		page.Confidence = confidence
	}
	return page
}
