package parse

import (
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

// set makes a set of the words in s.
func set(s string) map[string]bool {
	m := make(map[string]bool)
	for word := range strings.FieldsSeq(s) {
		m[word] = true
	}
	return m
}

var (
	isVoid    = set("area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr")
	isForeign = set("svg math path g use circle rect line polyline polygon")
	isUnseen  = set("script style noscript template title iframe noembed noframes svg canvas audio video object button select datalist annotation annotation-xml")
	isBlock   = set(`address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption
		figure footer form frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html legend li listing main menu nav ol p pre
		search section summary table tbody td tfoot th thead title tr ul xmp`)
	isTablePart = set("table caption thead tbody tfoot tr td th html body")
)

// An impliedEnd says that a start tag ends the innermost open element of a
// name, if that stands inside the innermost one called within.
type impliedEnd struct{ ends, within string }

var impliedEnds = map[string][]impliedEnd{
	"li":    {{"li", "ul"}},
	"dt":    {{"dd", "dl"}, {"dt", "dl"}},
	"dd":    {{"dt", "dl"}, {"dd", "dl"}},
	"td":    {{"td", "table"}, {"th", "table"}},
	"th":    {{"td", "table"}, {"th", "table"}},
	"tr":    {{"tr", "table"}},
	"tbody": {{"thead", "table"}, {"tbody", "table"}},
	"tfoot": {{"tbody", "table"}, {"thead", "table"}},
	"body":  {{"head", "html"}},
}

// closed ends what an element meant; its content was shown.
func (p *htmlReader) closed(name string) error {
	switch name {
	case "h1", "h2", "h3", "h4", "h5", "h6":
		return p.endHeading(int(name[1] - '0'))
	case "td", "th":
		p.endCell()
		return nil
	case "tr":
		return p.endRow()
	case "caption":
		return p.endCaption()
	case "table":
		return p.endTable()
	}
	if !isBlock[name] {
		return nil
	}
	err := p.flush()
	switch name {
	case "pre", "listing", "xmp":
		p.verbatim--
	case "ul", "ol", "menu", "dir":
		p.lists = p.lists[:max(0, len(p.lists)-1)]
	case "li":
		p.marker = ""
	}
	return err
}

// flush ends the block being read. In a cell, blocks are only words apart.
func (p *htmlReader) flush() error {
	if p.inCell() {
		p.text.WriteByte(' ')
		return nil
	}
	text := p.text.String()
	p.text.Reset()
	if strings.TrimSpace(text) == "" {
		return nil
	}
	block := Block{Kind: Paragraph, Under: p.outline.under()}
	switch {
	case p.verbatim > 0:
		block.Kind = Preformatted
	case len(p.lists) > 0 && p.count["li"] > 0:
		block.Kind = Item
		text = strings.Repeat("  ", min(len(p.lists)-1, 8)) + p.marker + strings.TrimSpace(text)
		p.marker = ""
	}
	return p.b.add(block, text)
}

func (p *htmlReader) endHeading(level int) error {
	if p.inCell() {
		return p.flush()
	}
	text := strings.Join(strings.Fields(p.text.String()), " ")
	p.text.Reset()
	return p.b.add(Block{Kind: Heading, Under: p.outline.enter(level, text)}, text)
}

// nextMarker is what stands before the next item of the innermost list.
func (p *htmlReader) nextMarker() string {
	if len(p.lists) == 0 {
		return "- "
	}
	list := p.lists[len(p.lists)-1]
	if list.next < 0 {
		return "- "
	}
	list.next++
	return strconv.Itoa(list.next-1) + ". "
}

// listStart is the number of an ordered list's first item.
func listStart(t html.Token) int {
	for _, a := range t.Attr {
		if n, err := strconv.Atoi(a.Val); err == nil && a.Key == "start" && n >= 0 {
			return n
		}
	}
	return 1
}

func (p *htmlReader) table() *htmlTable {
	if len(p.tables) == 0 {
		return nil
	}
	return p.tables[len(p.tables)-1]
}

func (p *htmlReader) inCell() bool {
	t := p.table()
	return t != nil && t.inCell && !t.layout
}

// layOutTable turns the innermost table into layout, because of what one of
// its cells holds, and writes what it held until now.
func (p *htmlReader) layOutTable() error {
	t := p.table()
	if t == nil || t.layout {
		return nil
	}
	if err := p.writeTable(t); err != nil {
		return err
	}
	rest := strings.Join(append(t.cells, p.text.String()), "\n")
	t.layout, t.cells = true, nil
	p.text.Reset()
	p.text.WriteString(rest)
	return p.flush()
}

func (p *htmlReader) endCell() {
	t := p.table()
	if !p.inCell() {
		p.text.WriteByte('\n')
		return
	}
	t.cells = append(t.cells, strings.Join(strings.Fields(p.text.String()), " "))
	t.inCell = false
	p.text.Reset()
}

func (p *htmlReader) endRow() error {
	t := p.table()
	if t == nil || t.layout {
		return p.flush()
	}
	t.rows = append(t.rows, tableRow(t.cells)...)
	t.cells = nil
	return nil
}

func (p *htmlReader) endCaption() error {
	t := p.table()
	if t == nil || t.layout {
		return p.flush()
	}
	t.caption = strings.Join(strings.Fields(p.text.String()), " ")
	p.text.Reset()
	return nil
}

func (p *htmlReader) endTable() error {
	t := p.table()
	if t == nil {
		return p.flush()
	}
	p.tables = p.tables[:len(p.tables)-1]
	if t.layout {
		return p.flush()
	}
	t.rows = append(t.rows, tableRow(t.cells)...)
	return p.writeTable(t)
}

// writeTable appends the rows read so far as one block, the caption first.
func (p *htmlReader) writeTable(t *htmlTable) error {
	rows := t.rows
	if t.caption != "" {
		rows = append([]string{t.caption}, rows...)
	}
	t.rows, t.caption = nil, ""
	return p.b.add(Block{Kind: Table, Under: p.outline.under()}, strings.Join(rows, "\n"))
}

// tableRow writes a row for a reader, "| a | b |"; nothing where all cells are empty.
func tableRow(cells []string) []string {
	if strings.TrimSpace(strings.Join(cells, "")) == "" {
		return nil
	}
	return []string{"| " + strings.Join(cells, " | ") + " |"}
}
