package parse

import (
	"encoding/xml"
	"regexp"
	"strconv"
	"strings"
)

// A docxStyle is what a paragraph style says of structure.
type docxStyle struct {
	name, basedOn string
	outline       int // level of heading from 0, -1 where it says nothing
	list          docxList
}

// A docxList is a place in a list; level is -1 where it is not said.
type docxList struct {
	id    string
	level int
}

// docxStyles are the paragraph styles by their id.
type docxStyles map[string]docxStyle

// headingName is a heading's style as programs of several languages call it,
// where the file does not say its outline level.
var headingName = regexp.MustCompile(`(?i)^(?:heading|t[ií]?tulo|encabezado|titre|ü?berschrift|titolo)[ _-]?([1-9])$`)

var contentsName = regexp.MustCompile(`(?i)^(?:toc|table of figures|tdc|ndice)[ _-]?[1-9]?$`)

func readStyles(x *xmlReader) (docxStyles, error) {
	styles := make(docxStyles)
	err := x.children(func(e xml.StartElement) error {
		if e.Name.Local != "style" {
			return x.skip()
		}
		s := docxStyle{outline: -1, list: docxList{level: -1}}
		err := x.children(func(c xml.StartElement) error {
			switch c.Name.Local {
			case "name":
				s.name = attr(c, "val")
			case "basedOn":
				s.basedOn = attr(c, "val")
			case "pPr":
				p := docxParagraph{outline: -1, list: s.list}
				err := p.readProperties(x)
				s.outline, s.list = p.outline, p.list
				return err
			}
			return x.skip()
		})
		styles[attr(e, "styleId")] = s
		return err
	})
	return styles, err
}

// chain calls fn for a style and those it is based on, until fn says enough.
func (s docxStyles) chain(id string, fn func(id string, style docxStyle) (enough bool)) {
	for range 20 {
		style, ok := s[id]
		if !ok {
			style = docxStyle{name: id, outline: -1, list: docxList{level: -1}}
		}
		if id == "" || fn(id, style) {
			return
		}
		id = style.basedOn
	}
}

// outline is the level of heading that a style makes, from 0, or -1.
func (s docxStyles) outline(id string) int {
	level := -1
	s.chain(id, func(id string, style docxStyle) bool {
		m := headingName.FindStringSubmatch(style.name)
		switch {
		case style.outline >= 0:
			level = style.outline
		case m != nil:
			level = int(m[1][0] - '1')
		}
		return level >= 0
	})
	if level > 8 {
		return -1
	}
	return level
}

// list is the list that a style puts its paragraphs in, and the style that says so.
func (s docxStyles) list(id string) (list docxList, by string) {
	list.level = -1
	s.chain(id, func(id string, style docxStyle) bool {
		if list.level < 0 {
			list.level = style.list.level
		}
		if style.list.id == "" {
			return false
		}
		list.id, by = style.list.id, id
		return true
	})
	return list, by
}

// isTitle reports whether a style is the one of a document's title.
func (s docxStyles) isTitle(id string) bool {
	style, ok := s[id]
	return ok && strings.EqualFold(style.name, "title") || !ok && strings.EqualFold(id, "title")
}

// isContents reports whether a style is one of a table of contents.
func (s docxStyles) isContents(id string) bool {
	found := false
	s.chain(id, func(_ string, style docxStyle) bool {
		found = contentsName.MatchString(style.name)
		return found
	})
	return found
}

// docxNumbering gives list items the marks that Word shows.
type docxNumbering struct {
	kinds map[string]*docxKind // by abstractNumId
	lists map[string]docxNum   // by numId
	begun map[string]bool      // lists whose own starts were taken
}

// A docxNum is a list: its kind, and the levels that it starts by itself.
type docxNum struct {
	kind   string
	starts map[int]int
}

// A docxKind is how lists of a kind look and how far they have counted.
type docxKind struct {
	levels         [9]docxLevel
	counted        [9]bool
	number         [9]int
	styleLink, see string // lists named by a style are described once
}

type docxLevel struct {
	start               int
	format, text, style string
}

func readNumbering(x *xmlReader) (*docxNumbering, error) {
	n := &docxNumbering{kinds: map[string]*docxKind{}, lists: map[string]docxNum{}, begun: map[string]bool{}}
	err := x.children(func(e xml.StartElement) error {
		switch e.Name.Local {
		case "abstractNum":
			kind, err := readKind(x)
			n.kinds[attr(e, "abstractNumId")] = kind
			return err
		case "num":
			list, err := readNum(x)
			n.lists[attr(e, "numId")] = list
			return err
		}
		return x.skip()
	})
	n.followLinks()
	return n, err
}

func readKind(x *xmlReader) (*docxKind, error) {
	kind := &docxKind{}
	return kind, x.children(func(e xml.StartElement) error {
		switch e.Name.Local {
		case "styleLink":
			kind.styleLink = attr(e, "val")
		case "numStyleLink":
			kind.see = attr(e, "val")
		case "lvl":
			if i, err := strconv.Atoi(attr(e, "ilvl")); err == nil && i >= 0 && i < len(kind.levels) {
				return kind.levels[i].read(x)
			}
		}
		return x.skip()
	})
}

func (l *docxLevel) read(x *xmlReader) error {
	return x.children(func(e xml.StartElement) error {
		switch e.Name.Local {
		case "start":
			l.start, _ = strconv.Atoi(attr(e, "val"))
		case "numFmt":
			l.format = attr(e, "val")
		case "lvlText":
			l.text = attr(e, "val")
		case "pStyle":
			l.style = attr(e, "val")
		}
		return x.skip()
	})
}

func readNum(x *xmlReader) (docxNum, error) {
	num := docxNum{starts: make(map[int]int)}
	err := x.children(func(e xml.StartElement) error {
		switch e.Name.Local {
		case "abstractNumId":
			num.kind = attr(e, "val")
		case "lvlOverride":
			level, _ := strconv.Atoi(attr(e, "ilvl"))
			return x.children(func(c xml.StartElement) error {
				if c.Name.Local == "startOverride" {
					num.starts[level], _ = strconv.Atoi(attr(c, "val"))
				}
				return x.skip()
			})
		}
		return x.skip()
	})
	return num, err
}

// followLinks gives a kind that only names a style the levels of the kind that
// describes that style's lists.
func (n *docxNumbering) followLinks() {
	described := make(map[string]*docxKind)
	for _, kind := range n.kinds {
		if kind.styleLink != "" {
			described[kind.styleLink] = kind
		}
	}
	for _, kind := range n.kinds {
		if there := described[kind.see]; there != nil {
			kind.levels = there.levels
		}
	}
}

// level is the level that a list keeps for a style, or 0.
func (n *docxNumbering) level(list, style string) int {
	if kind := n.kinds[n.lists[list].kind]; kind != nil {
		for i, l := range kind.levels {
			if l.style != "" && l.style == style {
				return i
			}
		}
	}
	return 0
}

// mark counts an item and returns what stands before it, such as "2.1." or
// "-"; false where it is not in a list.
func (n *docxNumbering) mark(list docxList) (string, bool) {
	num, ok := n.lists[list.id]
	kind := n.kinds[num.kind]
	if !ok || kind == nil || list.level < 0 || list.level >= len(kind.levels) {
		return "", false
	}
	if !n.begun[list.id] {
		n.begun[list.id] = true
		for level, start := range num.starts {
			if level >= 0 && level < len(kind.levels) {
				kind.levels[level].start, kind.counted[level] = start, false
			}
		}
	}
	kind.count(list.level)
	return kind.mark(list.level), true
}

func (k *docxKind) count(level int) {
	for i := range level + 1 {
		switch {
		case !k.counted[i]:
			k.counted[i], k.number[i] = true, k.levels[i].start
		case i == level:
			k.number[i]++
		}
	}
	for i := level + 1; i < len(k.counted); i++ {
		k.counted[i] = false
	}
}

func (k *docxKind) mark(level int) string {
	l := k.levels[level]
	switch {
	case l.format == "bullet":
		return "-"
	case l.format == "none", len(l.text) > 64:
		return ""
	}
	pairs := make([]string, 0, 2*len(k.levels))
	for i := range k.levels {
		pairs = append(pairs, "%"+strconv.Itoa(i+1), formatNumber(k.number[i], k.levels[i].format))
	}
	return strings.NewReplacer(pairs...).Replace(l.text)
}

// formatNumber writes a number as Word's formats of that name do; one it does
// not know as digits.
func formatNumber(n int, format string) string {
	switch {
	case format == "lowerLetter" && n > 0 && n <= 130:
		return strings.Repeat(string(rune('a'+(n-1)%26)), (n-1)/26+1)
	case format == "upperLetter" && n > 0 && n <= 130:
		return strings.ToUpper(formatNumber(n, "lowerLetter"))
	case format == "upperRoman" && n > 0 && n < 4000:
		return roman(n)
	case format == "lowerRoman" && n > 0 && n < 4000:
		return strings.ToLower(roman(n))
	case format == "decimalZero" && n < 10:
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}

func roman(n int) string {
	values := []int{1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1}
	digits := []string{"M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"}
	var b strings.Builder
	for i, v := range values {
		for ; n >= v; n -= v {
			b.WriteString(digits[i])
		}
	}
	return b.String()
}
