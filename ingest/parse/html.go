package parse

import (
	"bytes"
	"context"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
)

// parseHTML reads a page: what a reader sees of it, without scripts and
// without navigation. Nothing is fetched and nothing is run.
func parseHTML(ctx context.Context, f File, _ Progress) (Content, error) {
	source, err := decode(f.Data, declaredCharset(f.Data))
	if err != nil {
		return Content{}, err
	}
	for _, keepNav := range []bool{false, true} {
		b := newBuilder(maxText)
		p := htmlReader{b: b, outline: &outline{}, keepNav: keepNav}
		if err := p.read(ctx, source); err != nil {
			return Content{}, err
		}
		if len(b.blocks) > 0 {
			return b.content(p.title.String(), mimeHTML), nil
		}
	}
	return Content{}, Errorf(Empty, "the page holds no text")
}

// declaredCharset is what a page says of its characters in a meta element, or nil.
func declaredCharset(data []byte) encoding.Encoding {
	enc, _, certain := charset.DetermineEncoding(data, "")
	if !certain {
		return nil
	}
	return enc
}

// An htmlReader reads a stream of tags without building a tree of them: time
// is linear and depth is harmless. It closes what the tags leave open by the
// rules that matter for text.
type htmlReader struct {
	b       *builder
	outline *outline
	keepNav bool

	title    strings.Builder
	open     []htmlElement
	count    map[string]int // of open elements, by name
	dropped  int            // open elements whose content is not shown
	verbatim int            // open pre elements

	text   strings.Builder // of the block being read
	lists  []*htmlList
	marker string // of a list item whose text has not come yet
	tables []*htmlTable
}

type htmlElement struct {
	name    string
	dropped bool
}

// An htmlList is an open list; next is its next number, -1 where it has none.
type htmlList struct{ next int }

// An htmlTable is an open table. One that lays out a page, with headings or
// other tables in its cells, is no table for a reader: then layout is true.
type htmlTable struct {
	layout  bool
	caption string
	rows    []string
	cells   []string
	inCell  bool
}

// maxOpen bounds the elements open at a time; no page has as many.
const maxOpen = 100_000

// read reads a page or a piece of one to the end.
func (p *htmlReader) read(ctx context.Context, source string) error {
	p.count = make(map[string]int)
	z := html.NewTokenizer(strings.NewReader(source))
	for n := 0; ; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		var err error
		switch z.Next() {
		case html.ErrorToken:
			return p.popTo(0)
		case html.TextToken:
			p.addText(z)
		case html.StartTagToken:
			err = p.start(z.Token(), false)
		case html.SelfClosingTagToken:
			err = p.start(z.Token(), true)
		case html.EndTagToken:
			name, _ := z.TagName()
			err = p.end(string(name))
		}
		if err != nil {
			return err
		}
	}
}

func (p *htmlReader) addText(z *html.Tokenizer) {
	switch {
	case p.count["title"] > 0 && p.count["svg"] == 0:
		if p.title.Len() == 0 {
			p.title.Write(z.Text())
		}
	case p.dropped > 0:
	case p.verbatim > 0:
		p.text.Write(z.Text())
	default:
		p.text.Write(bytes.Map(func(r rune) rune {
			if isBreak(r) {
				return ' '
			}
			return r
		}, z.Text()))
	}
}

// start handles a start tag: it closes what the tag ends, and opens its element.
func (p *htmlReader) start(t html.Token, selfClosed bool) error {
	name := t.Data
	if err := p.closeImplied(name); err != nil {
		return err
	}
	switch {
	case name == "br":
		p.text.WriteByte('\n')
		return nil
	case isVoid[name], selfClosed && isForeign[name]:
		if name == "hr" {
			return p.flush()
		}
		return nil
	case len(p.open) == maxOpen:
		return Errorf(Bomb, "its elements are nested more than %d deep", maxOpen)
	}
	if isBlock[name] {
		if err := p.flush(); err != nil {
			return err
		}
	}
	e := htmlElement{name: name, dropped: p.isDropped(t)}
	p.open = append(p.open, e)
	p.count[name]++
	if e.dropped {
		p.dropped++
	}
	return p.opened(t)
}

// opened notes what an element that was just opened means for its content.
func (p *htmlReader) opened(t html.Token) error {
	if p.dropped > 0 {
		return nil
	}
	switch t.Data {
	case "pre", "listing", "xmp":
		p.verbatim++
	case "ul", "menu", "dir":
		p.lists = append(p.lists, &htmlList{next: -1})
	case "ol":
		p.lists = append(p.lists, &htmlList{next: listStart(t)})
	case "li":
		p.marker = p.nextMarker()
	case "table":
		if err := p.layOutTable(); err != nil {
			return err
		}
		p.tables = append(p.tables, &htmlTable{})
	case "h1", "h2", "h3", "h4", "h5", "h6":
		return p.layOutTable()
	case "td", "th":
		if table := p.table(); table != nil {
			table.inCell = true
		}
	}
	return nil
}

// closeImplied closes the elements that a start tag ends without their end tag.
func (p *htmlReader) closeImplied(name string) error {
	if isBlock[name] && p.count["p"] > 0 {
		if err := p.end("p"); err != nil {
			return err
		}
	}
	for _, rule := range impliedEnds[name] {
		if i := p.find(rule.ends, rule.within); i >= 0 {
			return p.popTo(i)
		}
	}
	return nil
}

// find returns where the innermost open element of a name stands, or -1 where
// there is none above the innermost one called within, or none near the top.
func (p *htmlReader) find(name, within string) int {
	if p.count[name] == 0 {
		return -1
	}
	for i := len(p.open) - 1; i >= 0 && i >= len(p.open)-256; i-- {
		switch p.open[i].name {
		case name:
			return i
		case within:
			return -1
		}
	}
	return -1
}

// end handles an end tag. One that would end a table's surroundings from
// inside a cell is a mistake of the page.
func (p *htmlReader) end(name string) error {
	within := ""
	if !isTablePart[name] {
		within = "table"
	}
	i := p.find(name, within)
	if i < 0 {
		return nil
	}
	return p.popTo(i)
}

// popTo closes the open elements from the top down to the i-th.
func (p *htmlReader) popTo(i int) error {
	for len(p.open) > i {
		e := p.open[len(p.open)-1]
		if p.dropped == 0 {
			if err := p.closed(e.name); err != nil {
				return err
			}
		}
		p.open = p.open[:len(p.open)-1]
		p.count[e.name]--
		if e.dropped {
			p.dropped--
		}
	}
	if i == 0 {
		return p.flush()
	}
	return nil
}

// isDropped reports whether what an element holds is not for the reader.
func (p *htmlReader) isDropped(t html.Token) bool {
	if isUnseen[t.Data] || t.Data == "nav" && !p.keepNav {
		return true
	}
	for _, a := range t.Attr {
		value := strings.ToLower(a.Val)
		switch a.Key {
		case "hidden":
			if value != "until-found" {
				return true
			}
		case "role":
			if !p.keepNav && (value == "navigation" || value == "menu" || value == "menubar") {
				return true
			}
		case "style":
			style := strings.Join(strings.Fields(value), "")
			if strings.Contains(style, "display:none") || strings.Contains(style, "visibility:hidden") {
				return true
			}
		}
	}
	return false
}
