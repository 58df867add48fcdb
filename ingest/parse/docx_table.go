package parse

import (
	"encoding/xml"
	"strconv"
	"strings"
)

// A docxTable is a table; its rows have the cells that the file has.
type docxTable struct{ rows [][]docxCell }

type docxCell struct {
	span   int  // columns it covers
	merged bool // it continues the cell above it
	nodes  []docxNode
}

func (d *docxReader) readTable(x *xmlReader) (*docxTable, error) {
	t := &docxTable{}
	return t, d.readRows(x, t)
}

func (d *docxReader) readRows(x *xmlReader, t *docxTable) error {
	return x.children(func(e xml.StartElement) error {
		switch e.Name.Local {
		case "tr":
			var row []docxCell
			deleted := false
			err := d.readCells(x, &row, &deleted)
			if !deleted {
				t.rows = append(t.rows, row)
			}
			return err
		case "sdt", "sdtContent", "customXml", "ins":
			return d.readRows(x, t)
		}
		return x.skip()
	})
}

func (d *docxReader) readCells(x *xmlReader, row *[]docxCell, deleted *bool) error {
	return x.children(func(e xml.StartElement) error {
		switch e.Name.Local {
		case "trPr":
			return x.children(func(c xml.StartElement) error {
				*deleted = *deleted || c.Name.Local == "del"
				return x.skip()
			})
		case "tc":
			cell, err := d.readCell(x)
			*row = append(*row, cell)
			return err
		case "sdt", "sdtContent", "customXml":
			return d.readCells(x, row, deleted)
		}
		return x.skip()
	})
}

func (d *docxReader) readCell(x *xmlReader) (docxCell, error) {
	cell := docxCell{span: 1}
	err := x.children(func(e xml.StartElement) error {
		if e.Name.Local != "tcPr" {
			return d.node(x, e, func(n docxNode) error {
				cell.nodes = append(cell.nodes, n)
				return nil
			})
		}
		return x.children(func(c xml.StartElement) error {
			switch c.Name.Local {
			case "gridSpan":
				if n, err := strconv.Atoi(attr(c, "val")); err == nil && n > 1 && n <= 63 {
					cell.span = n
				}
			case "vMerge":
				cell.merged = attr(c, "val") != "restart"
			}
			return x.skip()
		})
	})
	return cell, err
}

// writeTable appends a table as one block, and then what hangs on its
// paragraphs. A single cell is a frame around paragraphs, not a table.
func (d *docxReader) writeTable(t *docxTable) error {
	if len(t.rows) == 1 && len(t.rows[0]) == 1 {
		for _, n := range t.rows[0][0].nodes {
			if err := d.write(n); err != nil {
				return err
			}
		}
		return nil
	}
	block := Block{Kind: Table, Under: d.outline.under()}
	if err := d.b.add(block, strings.Join(t.lines(), "\n")); err != nil {
		return err
	}
	return t.each(d.writeHanging)
}

// maxRepeated bounds what a cell that covers several rows says in each of them.
const maxRepeated = 200

// lines writes the rows. A cell that covers several rows is said in each, so
// that each says by itself what it is about.
func (t *docxTable) lines() []string {
	var lines []string
	above := make(map[int]string) // what covers a column from the rows before
	for _, row := range t.rows {
		cells, column := make([]string, 0, len(row)), 0
		for _, c := range row {
			words := flat(c.nodes)
			if c.merged && words == "" {
				words = above[column]
			}
			delete(above, column)
			if len(words) <= maxRepeated {
				above[column] = words
			}
			cells = append(cells, words)
			column += c.span
		}
		lines = append(lines, tableRow(cells)...)
	}
	return lines
}

// each calls fn for the paragraphs of a table and of the tables inside it.
func (t *docxTable) each(fn func(*docxParagraph) error) error {
	for _, row := range t.rows {
		for _, cell := range row {
			for _, n := range cell.nodes {
				var err error
				if n.table != nil {
					err = n.table.each(fn)
				} else {
					err = fn(n.paragraph)
				}
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// flat writes nodes in one line, a table inside them as "a, b; c, d".
func flat(nodes []docxNode) string {
	var words []string
	for _, n := range nodes {
		if n.table == nil {
			words = append(words, strings.Fields(n.paragraph.line())...)
			continue
		}
		rows := make([]string, 0, len(n.table.rows))
		for _, row := range n.table.rows {
			cells := make([]string, 0, len(row))
			for _, c := range row {
				if text := flat(c.nodes); text != "" {
					cells = append(cells, text)
				}
			}
			rows = append(rows, strings.Join(cells, ", "))
		}
		words = append(words, strings.Join(rows, "; "))
	}
	return strings.Join(words, " ")
}
