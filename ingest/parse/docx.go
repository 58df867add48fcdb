package parse

import (
	"context"
	"encoding/xml"
	"regexp"
	"strings"
	"unicode/utf8"
)

// parseDOCX reads a Word document as it stands with all tracked changes
// accepted: headings, lists with their numbers, tables, text boxes, and notes
// behind the paragraph that refers to them. Comments, headers, footers and the
// table of contents are left out.
func parseDOCX(ctx context.Context, f File, _ Progress) (Content, error) {
	pkg, err := openPackage(f.Data)
	if err != nil {
		return Content{}, err
	}
	d := &docxReader{
		ctx: ctx, pkg: pkg, b: newBuilder(maxText), notes: make(map[string]string),
		styles: make(docxStyles), numbering: &docxNumbering{},
	}
	if err := d.read(); err != nil {
		return Content{}, err
	}
	if d.hasHidden {
		d.b.warn("hidden text was left out")
	}
	return d.b.content(d.title, mimeDOCX), nil
}

type docxReader struct {
	ctx       context.Context //nolint:containedctx // a reader lives for one call
	pkg       *docxPackage
	b         *builder
	outline   outline
	styles    docxStyles
	numbering *docxNumbering
	notes     map[string]string // text of foot- and endnotes, by the name of the reference and the id
	title     string
	titled    bool // a paragraph of the style Title was seen
	hasHidden bool
}

func (d *docxReader) read() error {
	top, err := d.pkg.related("")
	if err != nil {
		return err
	}
	main := orElse(top["officeDocument"], "word/document.xml")
	if d.pkg.members[main] == nil {
		return Errorf(Corrupt, "it has no document inside")
	}
	parts, err := d.pkg.related(main)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		read func(*xmlReader, xml.StartElement) error
	}{
		{orElse(top["core-properties"], "docProps/core.xml"), d.readProperties},
		{orElse(parts["styles"], "word/styles.xml"), d.readStyles},
		{orElse(parts["numbering"], "word/numbering.xml"), d.readNumbering},
		{orElse(parts["footnotes"], "word/footnotes.xml"), d.readNotes},
		{orElse(parts["endnotes"], "word/endnotes.xml"), d.readNotes},
		{main, d.readBody},
	} {
		if err := d.pkg.read(part.name, part.read); err != nil {
			return err
		}
	}
	return nil
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// emptyTitle is what programs write where nobody gave a title.
var emptyTitle = regexp.MustCompile(`(?i)^(?:microsoft word - .*|.*\.(?:docx?|dotx?|odt|rtf|pdf)|(?:word |new |nuevo )?document[o]?\d*|untitled.*|sin título.*)$`)

func (d *docxReader) readProperties(x *xmlReader, _ xml.StartElement) error {
	return x.children(func(e xml.StartElement) error {
		if e.Name.Local != "title" {
			return x.skip()
		}
		title, err := x.text()
		title = strings.TrimSpace(title)
		if !emptyTitle.MatchString(title) {
			d.title = title
		}
		return err
	})
}

func (d *docxReader) readStyles(x *xmlReader, _ xml.StartElement) (err error) {
	d.styles, err = readStyles(x)
	return err
}

func (d *docxReader) readNumbering(x *xmlReader, _ xml.StartElement) (err error) {
	d.numbering, err = readNumbering(x)
	return err
}

func (d *docxReader) readNotes(x *xmlReader, _ xml.StartElement) error {
	return x.children(func(e xml.StartElement) error {
		var nodes []docxNode
		err := d.story(x, func(n docxNode) error {
			nodes = append(nodes, n)
			return nil
		})
		if kind := attr(e, "type"); kind == "" || kind == "normal" {
			d.notes[e.Name.Local+"Reference "+attr(e, "id")] = flat(nodes)
		}
		return err
	})
}

func (d *docxReader) readBody(x *xmlReader, _ xml.StartElement) error {
	return x.children(func(e xml.StartElement) error {
		if e.Name.Local != "body" {
			return x.skip()
		}
		return d.story(x, func(n docxNode) error {
			if err := d.ctx.Err(); err != nil {
				return err
			}
			return d.write(n)
		})
	})
}

// A docxNode is a paragraph or a table.
type docxNode struct {
	paragraph *docxParagraph
	table     *docxTable
}

// story reads paragraphs and tables to the end of the element that was just
// started, and passes each to emit.
func (d *docxReader) story(x *xmlReader, emit func(docxNode) error) error {
	return x.children(func(e xml.StartElement) error { return d.node(x, e, emit) })
}

func (d *docxReader) node(x *xmlReader, e xml.StartElement, emit func(docxNode) error) error {
	switch e.Name.Local {
	case "p":
		p, err := d.readParagraph(x)
		if err != nil {
			return err
		}
		return emit(docxNode{paragraph: p})
	case "tbl":
		t, err := d.readTable(x)
		if err != nil {
			return err
		}
		return emit(docxNode{table: t})
	case "sdt", "sdtContent", "customXml", "ins", "moveTo":
		return d.story(x, emit)
	case "AlternateContent":
		return choose(x, func() error { return d.story(x, emit) })
	}
	return x.skip()
}

// choose reads the first choice of the alternatives in the element that was
// just started; the others say the same for other programs.
func choose(x *xmlReader, read func() error) error {
	done := false
	return x.children(func(e xml.StartElement) error {
		if e.Name.Local != "Choice" || done {
			return x.skip()
		}
		done = true
		return read()
	})
}

// write appends a paragraph or table, and then what hangs on it.
func (d *docxReader) write(n docxNode) error {
	if n.table != nil {
		return d.writeTable(n.table)
	}
	p := n.paragraph
	if err := d.writeParagraph(p); err != nil {
		return err
	}
	return d.writeHanging(p)
}

// maxHeadingText is the longest text taken for a heading, in characters.
const maxHeadingText = 300

func (d *docxReader) writeParagraph(p *docxParagraph) error {
	text := p.line()
	block := Block{Kind: Paragraph, Under: d.outline.under()}
	switch long := utf8.RuneCountInString(text) > maxHeadingText; {
	case strings.TrimSpace(text) == "", d.styles.isContents(p.style):
		return nil
	case d.styles.isTitle(p.style) && !d.titled && !long:
		d.titled = true
		block.Kind, block.Under = Heading, (&outline{}).enter(1, text)
		d.title = orElse(d.title, text)
	case p.outline >= 0 && !long:
		block.Kind, block.Under = Heading, d.outline.enter(p.outline+1, text)
	case p.inList:
		block.Kind = Item
		text = strings.Repeat("  ", max(0, p.list.level)) + text
	}
	return d.b.add(block, text)
}

// writeHanging appends the notes that a paragraph refers to, in brackets, and
// the text of the boxes that hang on it.
func (d *docxReader) writeHanging(p *docxParagraph) error {
	for _, id := range p.notes {
		if note := d.notes[id]; note != "" {
			if err := d.b.add(Block{Kind: Paragraph, Under: d.outline.under()}, "["+note+"]"); err != nil {
				return err
			}
			delete(d.notes, id)
		}
	}
	for _, n := range p.boxes {
		if err := d.write(n); err != nil {
			return err
		}
	}
	return nil
}
