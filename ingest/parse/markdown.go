package parse

import (
	"bytes"
	"context"
	"strconv"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// parseMarkdown reads Markdown: its structure goes to the blocks, its marks go.
func parseMarkdown(ctx context.Context, f File, _ Progress) (Content, error) {
	source, err := decode(f.Data, nil)
	if err != nil {
		return Content{}, err
	}
	b := newBuilder(maxText)
	if isTangled(source) {
		b.warn("nested too deep for Markdown: read as plain text")
		if err := addParagraphs(b, source); err != nil {
			return Content{}, err
		}
		return b.content("", mimeMarkdown), nil
	}
	front, body := cutFrontMatter(source)
	if err := b.add(Block{Kind: Preformatted}, front); err != nil {
		return Content{}, err
	}
	m := markdownReader{ctx: ctx, b: b, source: []byte(body), title: frontTitle(front)}
	parser := goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.TaskList, extension.Footnote)).Parser()
	if err := m.blocks(parser.Parse(text.NewReader(m.source))); err != nil {
		return Content{}, err
	}
	return b.content(m.title, mimeMarkdown), nil
}

// isTangled reports whether Markdown nests or marks more than a person writes:
// the library takes time and stack by the square of that, and cannot be stopped.
func isTangled(source string) bool {
	const deepest, cells, marks, notes, effort = 100, 1000, 20_000, 10_000, 1_000_000_000
	if strings.Count(source, "[^") > notes {
		return true
	}
	marked := 0 // characters of the paragraph that can mark something
	spent := 0  // on the paragraphs before it
	for line := range strings.Lines(source) {
		text := strings.TrimLeft(line, " \t>-+*0123456789.)")
		prefix := line[:len(line)-len(text)]
		depth := strings.Count(prefix, ">")
		if text != "" {
			depth += len(strings.Fields(prefix)) // a line of marks alone is a rule
		}
		if strings.TrimSpace(line) == "" {
			spent += marked * marked
			marked = 0
		}
		for _, c := range []byte(line) {
			if strings.IndexByte("[*_~<`", c) >= 0 {
				marked++
			}
		}
		if depth > deepest || depth > 0 && len(prefix) > 4*deepest || marked > marks || spent > effort || strings.Count(line, "|") > cells {
			return true
		}
	}
	return false
}

// cutFrontMatter parts the YAML between --- lines at the start from the rest.
func cutFrontMatter(source string) (front, body string) {
	source = strings.ReplaceAll(source, "\r\n", "\n")
	rest, ok := strings.CutPrefix(source, "---\n")
	if !ok {
		return "", source
	}
	front, body, ok = strings.Cut(rest, "\n---\n")
	first, _, _ := strings.Cut(front, "\n")
	if !ok || !strings.Contains(first, ":") {
		return "", source
	}
	return front, body
}

// frontTitle returns the title that front matter gives.
func frontTitle(front string) string {
	for line := range strings.Lines(front) {
		if title, ok := strings.CutPrefix(line, "title:"); ok {
			return strings.Trim(strings.TrimSpace(title), `"'`)
		}
	}
	return ""
}

type markdownReader struct {
	ctx     context.Context //nolint:containedctx // a reader lives for one call
	b       *builder
	source  []byte
	title   string
	outline outline
	list    []string // indentation and marker of the open items; a marker is written once
}

// blocks appends the children of a container.
func (m *markdownReader) blocks(parent ast.Node) error {
	if err := m.ctx.Err(); err != nil {
		return err
	}
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		if err := m.block(n); err != nil {
			return err
		}
	}
	return nil
}

func (m *markdownReader) block(n ast.Node) error {
	switch n := n.(type) {
	case *ast.Heading:
		return m.heading(n)
	case *ast.Paragraph, *ast.TextBlock:
		return m.paragraph(n)
	case *ast.List:
		return m.items(n)
	case *ast.CodeBlock, *ast.FencedCodeBlock:
		return m.b.add(Block{Kind: Preformatted, Under: m.outline.under()}, string(n.Lines().Value(m.source)))
	case *ast.HTMLBlock:
		fragment := string(n.Lines().Value(m.source))
		if n.HasClosure() {
			fragment += string(n.ClosureLine.Value(m.source))
		}
		p := htmlReader{b: m.b, outline: &m.outline, keepNav: true}
		return p.read(m.ctx, fragment)
	case *extast.Table:
		return m.table(n)
	}
	return m.blocks(n)
}

func (m *markdownReader) heading(n *ast.Heading) error {
	title := m.inline(n)
	if m.title == "" && n.Level == 1 {
		m.title = title
	}
	return m.b.add(Block{Kind: Heading, Under: m.outline.enter(n.Level, title)}, title)
}

func (m *markdownReader) paragraph(n ast.Node) error {
	block := Block{Kind: Paragraph, Under: m.outline.under()}
	words := m.inline(n)
	if last := len(m.list) - 1; last >= 0 {
		block.Kind = Item
		words = m.list[last] + words
		m.list[last] = strings.Repeat(" ", len(m.list[last]))
	}
	return m.b.add(block, words)
}

// items appends the items of a list, each with its marker, indented by its depth.
func (m *markdownReader) items(list *ast.List) error {
	number := list.Start
	for n := list.FirstChild(); n != nil; n = n.NextSibling() {
		marker := "- "
		if list.IsOrdered() {
			marker = strconv.Itoa(number) + string(list.Marker) + " "
			number++
		}
		m.list = append(m.list, strings.Repeat("  ", len(m.list))+marker)
		err := m.blocks(n)
		m.list = m.list[:len(m.list)-1]
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *markdownReader) table(table *extast.Table) error {
	var rows []string
	for row := table.FirstChild(); row != nil; row = row.NextSibling() {
		var cells []string
		for cell := row.FirstChild(); cell != nil; cell = cell.NextSibling() {
			cells = append(cells, strings.Join(strings.Fields(m.inline(cell)), " "))
		}
		rows = append(rows, tableRow(cells)...)
	}
	return m.b.add(Block{Kind: Table, Under: m.outline.under()}, strings.Join(rows, "\n"))
}

// inline returns the words of a block, without marks, addresses and scripts.
func (m *markdownReader) inline(block ast.Node) string {
	var words strings.Builder
	unseen := "" // the element inside which nothing is shown
	_ = ast.Walk(block, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if raw, ok := n.(*ast.RawHTML); ok && entering {
			unseen = m.tag(raw, unseen, &words)
		}
		if entering && unseen == "" {
			m.word(n, &words)
		}
		return ast.WalkContinue, nil
	})
	return words.String()
}

func (m *markdownReader) word(n ast.Node, words *strings.Builder) {
	switch n := n.(type) {
	case *ast.Text:
		value := n.Value(m.source)
		if _, code := n.Parent().(*ast.CodeSpan); !code && !n.IsRaw() {
			value = unescape(value)
		}
		words.Write(value)
		switch {
		case n.HardLineBreak():
			words.WriteByte('\n')
		case n.SoftLineBreak():
			words.WriteByte(' ')
		}
	case *ast.String:
		words.Write(n.Value)
	case *ast.AutoLink:
		words.Write(n.Label(m.source))
	case *extast.TaskCheckBox:
		if n.IsChecked {
			words.WriteString("[x] ")
		} else {
			words.WriteString("[ ] ")
		}
	}
}

// tag handles a tag within a line: br breaks it, and what is between the tags
// of a script is not shown. It returns the element that now hides what follows.
func (m *markdownReader) tag(raw *ast.RawHTML, unseen string, words *strings.Builder) string {
	name := strings.ToLower(string(raw.Segments.Value(m.source)))
	name = strings.TrimSuffix(strings.TrimPrefix(name, "<"), ">")
	closing := strings.HasPrefix(name, "/")
	name, _, _ = strings.Cut(strings.Trim(name, "/ "), " ")
	switch {
	case closing && name == unseen:
		return ""
	case !closing && unseen == "" && isUnseen[name]:
		return name
	case name == "br":
		words.WriteByte('\n')
	}
	return unseen
}

// unescape resolves backslashes and character references.
func unescape(value []byte) []byte {
	if bytes.IndexByte(value, '\\') < 0 && bytes.IndexByte(value, '&') < 0 {
		return value
	}
	return util.ResolveEntityNames(util.ResolveNumericReferences(util.UnescapePunctuations(value)))
}
