package parse

import (
	"encoding/xml"
	"strconv"
	"strings"
)

// A docxParagraph is a paragraph with what hangs on it.
type docxParagraph struct {
	style   string
	outline int // level of heading from 0, -1 for none
	list    docxList
	inList  bool
	mark    string // of its list, as Word shows it
	text    strings.Builder
	notes   []string   // keys of docxReader.notes
	boxes   []docxNode // text boxes
}

// line is the text behind the mark.
func (p *docxParagraph) line() string {
	text := strings.TrimSpace(p.text.String())
	if p.mark == "" || text == "" {
		return text
	}
	return p.mark + " " + text
}

func (d *docxReader) readParagraph(x *xmlReader) (*docxParagraph, error) {
	p := &docxParagraph{outline: -1, list: docxList{level: -1}}
	if err := d.readInline(x, p); err != nil {
		return nil, err
	}
	if p.outline < 0 {
		p.outline = d.styles.outline(p.style)
	}
	if p.outline > 8 {
		p.outline = -1
	}
	d.enlist(p)
	return p, nil
}

// enlist finds the list a paragraph is in, by itself or by its style, and its mark.
func (d *docxReader) enlist(p *docxParagraph) {
	byStyle, style := d.styles.list(p.style)
	if p.list.id == "" {
		p.list.id = byStyle.id
		if p.list.level < 0 {
			p.list.level = byStyle.level
		}
		if p.list.level < 0 {
			p.list.level = d.numbering.level(p.list.id, style)
		}
	}
	p.list.level = max(0, p.list.level)
	if strings.TrimSpace(p.text.String()) != "" {
		p.mark, p.inList = d.numbering.mark(p.list)
	}
}

// readProperties reads what a paragraph, or a style, says of structure.
func (p *docxParagraph) readProperties(x *xmlReader) error {
	return x.children(func(e xml.StartElement) error {
		switch e.Name.Local {
		case "pStyle":
			p.style = attr(e, "val")
		case "outlineLvl":
			if n, err := strconv.Atoi(attr(e, "val")); err == nil {
				p.outline = n
			}
		case "numPr":
			return x.children(func(c xml.StartElement) error {
				switch c.Name.Local {
				case "numId":
					p.list.id = attr(c, "val")
				case "ilvl":
					p.list.level, _ = strconv.Atoi(attr(c, "val"))
				}
				return x.skip()
			})
		}
		return x.skip()
	})
}

// readInline reads what stands in a line: runs, and what wraps them. What was
// deleted or moved away is not there any more.
func (d *docxReader) readInline(x *xmlReader, p *docxParagraph) error {
	return x.children(func(e xml.StartElement) error {
		switch e.Name.Local {
		case "pPr":
			return p.readProperties(x)
		case "r":
			return d.readRun(x, p)
		case "hyperlink", "ins", "moveTo", "smartTag", "sdt", "sdtContent", "customXml", "fldSimple", "dir", "bdo":
			return d.readInline(x, p)
		case "oMath", "oMathPara":
			return readMath(x, &p.text)
		case "AlternateContent":
			return choose(x, func() error { return d.readInline(x, p) })
		}
		return x.skip()
	})
}

func (d *docxReader) readRun(x *xmlReader, p *docxParagraph) error {
	hidden := false
	return x.children(func(e xml.StartElement) error {
		if e.Name.Local == "rPr" {
			return x.children(func(c xml.StartElement) error {
				hidden = hidden || c.Name.Local == "vanish" && isOn(c)
				return x.skip()
			})
		}
		if hidden {
			d.hasHidden = d.hasHidden || e.Name.Local == "t"
			return x.skip()
		}
		return d.readRunPart(x, e, p)
	})
}

func (d *docxReader) readRunPart(x *xmlReader, e xml.StartElement, p *docxParagraph) error {
	switch e.Name.Local {
	case "t":
		text, err := x.text()
		p.text.WriteString(text)
		return err
	case "tab", "ptab":
		p.text.WriteByte('\t')
	case "br", "cr":
		p.text.WriteByte('\n')
	case "noBreakHyphen":
		p.text.WriteByte('-')
	case "sym":
		p.text.WriteString(symbol(attr(e, "font"), attr(e, "char")))
	case "footnoteReference", "endnoteReference":
		p.notes = append(p.notes, e.Name.Local+" "+attr(e, "id"))
	case "ruby":
		return x.children(func(c xml.StartElement) error {
			if c.Name.Local == "rubyBase" {
				return d.readInline(x, p)
			}
			return x.skip()
		})
	case "AlternateContent":
		return choose(x, func() error {
			return x.children(func(c xml.StartElement) error { return d.readRunPart(x, c, p) })
		})
	case "drawing", "pict", "object":
		return d.readBoxes(x, p)
	}
	return x.skip()
}

// readBoxes finds the text boxes of a drawing, however deep they stand.
func (d *docxReader) readBoxes(x *xmlReader, p *docxParagraph) error {
	return x.children(func(e xml.StartElement) error {
		switch e.Name.Local {
		case "txbxContent":
			return d.story(x, func(n docxNode) error {
				p.boxes = append(p.boxes, n)
				return nil
			})
		case "AlternateContent":
			return choose(x, func() error { return d.readBoxes(x, p) })
		}
		return d.readBoxes(x, p)
	})
}

// readMath appends the characters of a formula in their order.
func readMath(x *xmlReader, text *strings.Builder) error {
	return x.children(func(e xml.StartElement) error {
		if e.Name.Local != "t" {
			return readMath(x, text)
		}
		t, err := x.text()
		text.WriteString(t)
		return err
	})
}

// symbol is the character that a font of symbols shows for a code.
func symbol(font, code string) string {
	const greek = "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_ αβχδεφγηιϕκλμνοπθρστυϖωξψζ"
	n, err := strconv.ParseUint(code, 16, 16)
	if err != nil {
		return ""
	}
	if n >= 0xF000 {
		n -= 0xF000
	}
	letters := []rune(greek)
	switch {
	case strings.EqualFold(font, "Symbol") && n >= 'A' && n < 'A'+uint64(len(letters)):
		return string(letters[n-'A'])
	case n == 0xB7 || n == 0xA7 || n == 0xA8:
		return "•"
	case n == 0xFC || n == 0xFE:
		return "✓"
	case n == 0xE0 && strings.HasPrefix(font, "Wingdings"):
		return "→"
	case n < ' ':
		return ""
	}
	return string(rune(n))
}
