package ingest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/acervo-kb/acervo/ingest/parse"
	"github.com/acervo-kb/acervo/retrieval"
)

var smallChunks = ChunkConfig{Size: 512, Overlap: 64}

// roughly counts like a tokenizer: four bytes are a token.
func roughly(s string) int { return (len(s) + 3) / 4 }

// A contentWriter makes a content, block by block.
type contentWriter struct{ c parse.Content }

func (w *contentWriter) add(kind parse.Kind, page int, text string, under ...string) {
	if w.c.Text != "" {
		w.c.Text += "\n\n"
	}
	start := len(w.c.Text)
	w.c.Text += text
	w.c.Blocks = append(w.c.Blocks, parse.Block{Start: start, End: len(w.c.Text), Kind: kind, Page: page, Under: under})
}

// checkChunks reports what is wrong with the chunks of c.
func checkChunks(c parse.Content, cfg ChunkConfig, all []retrieval.Chunk) error {
	runes := []rune(c.Text)
	start, covered := -1, 0 // of the chunk before, in bytes
	for i, x := range all {
		if x.N != i || x.ID != fmt.Sprintf("d.%d", i) {
			return fmt.Errorf("chunk %d is %s, n %d", i, x.ID, x.N)
		}
		if strings.TrimSpace(x.Text) != x.Text || x.Text == "" {
			return fmt.Errorf("chunk %d has white space around it or is empty: %q", i, x.Text)
		}
		if n := roughly(x.Indexed()); n > cfg.Size || x.Tokens != roughly(x.Text) {
			return fmt.Errorf("chunk %d has %d tokens, and says its text has %d", i, n, x.Tokens)
		}
		from, to := max(0, start+1), len(c.Text)
		if x.Location.Kind == "page" {
			from, to = max(from, pageStart(c, x.Location.Page)), pageStart(c, x.Location.Page+1)
		} else if got := string(runes[x.Location.Start:x.Location.End]); got != x.Text {
			return fmt.Errorf("chunk %d: %q stands where it says it is, not %q", i, got, x.Text)
		} else {
			from = len(string(runes[:x.Location.Start]))
		}
		at := strings.Index(c.Text[min(from, to):to], x.Text)
		if at < 0 || from+at <= start {
			return fmt.Errorf("chunk %d is not behind the one before, on its page: %q", i, x.Text)
		}
		start = from + at
		if start > covered && strings.TrimSpace(c.Text[covered:start]) != "" {
			return fmt.Errorf("in no chunk: %q", c.Text[covered:start])
		}
		covered = max(covered, start+len(x.Text))
	}
	if rest := strings.TrimSpace(c.Text[covered:]); rest != "" {
		return fmt.Errorf("in no chunk: %q", rest)
	}
	return nil
}

// pageStart returns where page n begins in the text.
func pageStart(c parse.Content, n int) int {
	for _, b := range c.Blocks {
		if b.Page >= n {
			return b.Start
		}
	}
	return len(c.Text)
}

func TestEditedSection(t *testing.T) {
	build := func(changed int, word string) parse.Content {
		var w contentWriter
		for i := range 12 {
			h := fmt.Sprintf("Apartado %d", i)
			w.add(parse.Heading, 0, h, h)
			noun := "asunto"
			if i == changed {
				noun = word
			}
			w.add(parse.Paragraph, 0, strings.TrimSpace(strings.Repeat(fmt.Sprintf("El apartado %d trata del %s número %d. ", i, noun, i*37), 40)), h)
		}
		return w.c
	}
	before := chunks("d", build(-1, ""), smallChunks, roughly)
	after := chunks("d", build(6, "problema"), smallChunks, roughly)
	old := map[string]bool{}
	for _, x := range before {
		old[x.Indexed()] = true
	}
	fresh := 0
	for _, x := range after {
		if !old[x.Indexed()] {
			fresh++
		}
	}
	t.Logf("%d of %d new", fresh, len(after))
	if fresh == 0 || fresh > 3 {
		t.Errorf("an edit in one section of 12 makes %d of %d chunks new", fresh, len(after))
	}
}

func TestChunksHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w contentWriter
		word := rapid.SampledFrom([]string{"sol", "casa. ", "¿Qué?", " ", "\n", "ñandú", "Sr. Pérez", "漢字。", "a", strings.Repeat("=", 300), "palabra larga ", "🧑‍🌾"})
		page := rapid.IntRange(0, 1).Draw(t, "paged")
		var path []string
		for range rapid.IntRange(1, 60).Draw(t, "blocks") {
			if page > 0 && rapid.IntRange(0, 9).Draw(t, "turn") == 0 {
				page++
			}
			kind := rapid.SampledFrom([]parse.Kind{parse.Paragraph, parse.Paragraph, parse.Heading, parse.Item, parse.Table, parse.Preformatted}).Draw(t, "kind")
			n := rapid.IntRange(1, 80).Draw(t, "words")
			if kind == parse.Heading {
				n = min(n, 6)
			}
			words := rapid.SliceOfN(word, n, n).Draw(t, "text")
			for i := range words {
				if i%7 == 0 { // so that a piece of text stands in one place only
					words[i] += fmt.Sprint(len(w.c.Blocks), "x", i)
				}
			}
			text := strings.Join(words, " ")
			if kind == parse.Heading {
				path = append(path[:min(len(path), rapid.IntRange(0, 3).Draw(t, "depth"))], text)
			}
			w.add(kind, page, text, append([]string(nil), path...)...)
		}
		cfg := ChunkConfig{Size: rapid.IntRange(512, 1024).Draw(t, "size"), Overlap: rapid.IntRange(50, 100).Draw(t, "overlap")}
		if err := checkChunks(w.c, cfg, chunks("d", w.c, cfg, roughly)); err != nil {
			t.Fatal(err)
		}
	})
}

func TestChunksAreLinear(t *testing.T) {
	one := func(s string) parse.Content {
		return parse.Content{Text: s, Blocks: []parse.Block{{End: len(s), Kind: parse.Paragraph}}}
	}
	var tiny, headings, table contentWriter
	var text strings.Builder
	for i := range 200_000 {
		tiny.c.Blocks = append(tiny.c.Blocks, parse.Block{Start: text.Len(), End: text.Len() + 3, Kind: parse.Item})
		text.WriteString("uno\n\n")
		if i%4 == 0 {
			headings.c.Blocks = append(headings.c.Blocks, parse.Block{Start: text.Len() - 5, End: text.Len() - 2, Kind: parse.Heading, Under: []string{"a", fmt.Sprint(i)}})
		}
	}
	tiny.c.Text, headings.c.Text = text.String(), text.String()
	table.c = one(strings.Repeat("a | b | c\n", 100_000))
	table.c.Blocks[0].Kind = parse.Table
	for name, c := range map[string]parse.Content{
		"no space": one(strings.Repeat("a", 5_000_000)), "no stop": one(strings.Repeat("palabra ", 600_000)),
		"marks": one("a" + strings.Repeat("\u0301", 2_000_000)), "stops": one(strings.Repeat(". ", 1_000_000)), "lines": one(strings.Repeat("a\n", 500_000)),
		"blocks": tiny.c, "headings": headings.c, "table": table.c,
	} {
		counted := 0 // bytes: what the slow part of the work grows with
		count := func(s string) int {
			counted += len(s)
			return roughly(s)
		}
		n := len(chunks("d", c, smallChunks, count))
		if limit := 8*len(c.Text) + 1<<20; counted > limit {
			t.Errorf("%s: %d chunks of %d bytes took counting %d bytes, more than %d", name, n, len(c.Text), counted, limit)
		}
	}
}

func FuzzChunks(f *testing.F) {
	f.Add("Título\n\nUn párrafo. Otra frase.\n\n| a | b |", uint8(3), uint8(70))
	f.Add(strings.Repeat("=", 3000), uint8(0), uint8(0))
	kinds := []parse.Kind{parse.Paragraph, parse.Heading, parse.Item, parse.Table, parse.Preformatted}
	f.Fuzz(func(t *testing.T, text string, kind, overlap uint8) {
		c := parse.Content{Text: strings.ToValidUTF8(text, "")}
		start := 0
		for i, part := range strings.SplitAfter(c.Text, "\n\n") {
			// one block in four is missing, or has a place that cannot be
			b := parse.Block{Start: start, End: start + len(part), Kind: kinds[(int(kind)+i)%len(kinds)]}
			if b.Kind == parse.Heading {
				b.Under = []string{strings.TrimSpace(part)}
			}
			if (i+int(kind))%4 == 3 {
				b.Start -= 5
			}
			c.Blocks = append(c.Blocks, b)
			start += len(part)
		}
		cfg := ChunkConfig{Size: 512, Overlap: 50 + int(overlap)%51}
		last := 0
		var joined strings.Builder
		runes := []rune(c.Text)
		for _, x := range chunks("d", c, cfg, roughly) {
			if got := string(runes[x.Location.Start:x.Location.End]); got != x.Text {
				t.Fatalf("%q stands where %q should", got, x.Text)
			}
			if n := roughly(x.Indexed()); n > cfg.Size {
				t.Fatalf("%d tokens", n)
			}
			if x.Location.End > last {
				joined.WriteString(string(runes[max(last, x.Location.Start):x.Location.End]))
				last = x.Location.End
			}
		}
		if withoutSpace(joined.String()) != withoutSpace(c.Text) {
			t.Fatalf("%q became %q", c.Text, joined.String())
		}
	})
}

func withoutSpace(s string) string { return strings.Join(strings.Fields(s), "") }

func TestBoxes(t *testing.T) {
	line := func(start int, box ...float64) parse.Line {
		return parse.Line{Start: start, End: start + 9, Box: [4]float64(box)}
	}
	askew := parse.Block{Start: 0, End: 30, Lines: []parse.Line{line(0, .1, .1, .9, .18), line(10, .1, .12, .9, .2), line(20, .1, .14, .9, .22)}}
	one := parse.Block{Start: 0, End: 40, Lines: []parse.Line{line(0, .1, .1, .9, .12), line(10, .1, .125, .8, .145), line(20, .1, .15, .5, .17), line(30, .1, .4, .5, .42)}}
	two := parse.Block{Start: 42, End: 60, Lines: []parse.Line{line(42, .1, .43, .5, .45), {Start: 52, End: 60}}}
	columns := parse.Block{Start: 0, End: 19, Lines: []parse.Line{line(0, .1, .9, .4, .92), line(10, .5, .1, .9, .12)}}
	var many parse.Block
	for i := range 100 {
		many.Lines = append(many.Lines, line(10*i, .1, float64(i)/100, .2, float64(i)/100+.001))
	}
	for name, c := range map[string]struct {
		blocks     []parse.Block
		start, end int
		want       [][4]float64
	}{
		"lines askew overlap, and are one box":                         {[]parse.Block{askew}, 0, 30, [][4]float64{{.1, .1, .9, .22}}},
		"stacked lines are one box, a gap parts them, so does a block": {[]parse.Block{one, two}, 0, 60, [][4]float64{{.1, .1, .9, .17}, {.1, .4, .5, .42}, {.1, .43, .5, .45}}},
		"only the lines of the text":                                   {[]parse.Block{one, two}, 12, 25, [][4]float64{{.1, .125, .8, .17}}},
		"two columns":                                                  {[]parse.Block{columns}, 0, 19, [][4]float64{{.1, .9, .4, .92}, {.5, .1, .9, .12}}},
		"no lines":                                                     {[]parse.Block{{End: 10}}, 0, 10, nil},
	} {
		if diff := cmp.Diff(c.want, boxes(c.blocks, c.start, c.end)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if got := boxes([]parse.Block{many}, 0, 1000); len(got) > maxBoxes || got[0][1] != 0 || got[len(got)-1][3] < .99 {
		t.Errorf("%d boxes: %v", len(got), got)
	}
}

// TestLinesAreInTheirChunk: what is marked for a piece of a chunk is a part of what is marked for the whole of it.
func TestLinesAreInTheirChunk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := parse.Content{Pages: 2}
		edge := rapid.Float64Range(0, 1)
		for n := range rapid.IntRange(1, 40).Draw(t, "blocks") {
			if n > 0 {
				c.Text += "\n\n"
			}
			b := parse.Block{Start: len(c.Text), Kind: parse.Paragraph, Page: 1 + n/20}
			for i := range rapid.IntRange(0, 8).Draw(t, "lines") {
				l := parse.Line{Start: len(c.Text), End: len(c.Text)}
				if i > 0 {
					c.Text += "\n"
					l.Start++
				}
				c.Text += fmt.Sprintf("%d.%d %s", n, i, strings.Repeat("ñandú. ", rapid.IntRange(1, 12).Draw(t, "words"))) + "fin"
				l.End = len(c.Text)
				if rapid.IntRange(0, 4).Draw(t, "known") > 0 {
					x0, y0, x1, y1 := edge.Draw(t, "x0"), edge.Draw(t, "y0"), edge.Draw(t, "x1"), edge.Draw(t, "y1")
					l.Box = [4]float64{min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)}
				}
				b.Lines = append(b.Lines, l)
			}
			if len(b.Lines) == 0 {
				c.Text += fmt.Sprint(n)
			}
			b.End = len(c.Text)
			c.Blocks = append(c.Blocks, b)
		}
		for _, x := range chunks("d", c, smallChunks, roughly) {
			end := 0
			for _, l := range x.Lines {
				if l.Start < end || l.End <= l.Start || l.End > len(x.Text) || strings.Contains(x.Text[l.Start:l.End], "\n") {
					t.Fatalf("a line at %d–%d behind %d, of %d bytes", l.Start, l.End, end, len(x.Text))
				}
				end = l.End
			}
			from := rapid.IntRange(0, len(x.Text)-1).Draw(t, "from")
			to := rapid.IntRange(from+1, len(x.Text)).Draw(t, "to")
			at := x.At([][2]int{{from, to}})
			if at.Page != x.Location.Page || len(at.Boxes) == 0 && len(x.Location.Boxes) > 0 {
				t.Fatalf("%+v in %+v", at, x.Location)
			}
			for _, box := range at.Boxes {
				if !slices.ContainsFunc(x.Location.Boxes, func(whole [4]float64) bool { return union(whole, box) == whole }) {
					t.Fatalf("%v is in none of %v", box, x.Location.Boxes)
				}
			}
		}
	})
}

func TestLines(t *testing.T) {
	box := [4]float64{.12345678, .2, .9, .25}
	page := []parse.Block{
		{Start: 0, End: 30, Lines: []parse.Line{{Start: 0, End: 9, Box: box}, {Start: 10, End: 19}, {Start: 20, End: 30, Box: box}}},
		{Start: 32, End: 40},
		{Start: 42, End: 60, Lines: []parse.Line{{Start: 42, End: 60, Box: box}}},
	}
	snapped := [4]float64{.1235, .2, .9, .25}
	talk := []parse.Block{{Start: 0, End: 10, StartS: 1, EndS: 3}, {Start: 11, End: 30, StartS: 4, EndS: 5.5}}
	for name, c := range map[string]struct {
		blocks     []parse.Block
		start, end int
		want       retrieval.Lines
	}{
		"from within a line to within another; one unknown": {page, 5, 50, retrieval.Lines{{Start: 0, End: 4, Box: snapped}, {Start: 15, End: 25, Box: snapped}, {Start: 37, End: 45, Box: snapped}}},
		"no lines":    {page[1:2], 32, 40, nil},
		"a recording": {talk, 0, 20, retrieval.Lines{{Start: 0, End: 10, StartS: 1, EndS: 3}, {Start: 11, End: 20, StartS: 4, EndS: 5.5}}},
	} {
		if diff := cmp.Diff(c.want, lines(c.blocks, c.start, c.end)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestChunkConfigValidate(t *testing.T) {
	for c, want := range map[ChunkConfig]string{
		{512, 50}: "", {1024, 100}: "", {511, 64}: "chunk.size", {1025, 64}: "chunk.size", {512, 49}: "chunk.overlap", {512, 101}: "chunk.overlap",
	} {
		err := c.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestLongTitleAndHeadings(t *testing.T) {
	var w contentWriter
	w.c.Title = strings.Repeat("título ", 500)
	deep := []string{strings.Repeat("capítulo ", 100), strings.Repeat("apartado ", 100), strings.Repeat("artículo ", 100), strings.Repeat("punto ", 100)}
	w.add(parse.Heading, 0, deep[3], deep...)
	w.add(parse.Paragraph, 0, strings.Repeat("Una frase que se repite. ", 200), deep...)
	all := chunks("d", w.c, smallChunks, roughly)
	if err := checkChunks(w.c, smallChunks, all); err != nil {
		t.Error(err)
	}
	if len(all) > 20 {
		t.Errorf("%d chunks", len(all))
	}
}

// TestEditsStayLocal edits a text without any headings, at its beginning.
func TestEditsStayLocal(t *testing.T) {
	build := func(first string) parse.Content {
		var w contentWriter
		w.add(parse.Paragraph, 0, first)
		for i := range 400 {
			w.add(parse.Paragraph, 0, strings.Repeat(fmt.Sprintf("El punto %d costó %d euros. ", i, i*i), 1+i*7%5))
		}
		return w.c
	}
	old := map[string]bool{}
	for _, x := range chunks("d", build("Hola."), smallChunks, roughly) {
		old[x.Text] = true
	}
	fresh, total := 0, 0
	for _, x := range chunks("d", build("Buenos días a todos. "+strings.Repeat("Empezamos la reunión. ", 7)), smallChunks, roughly) {
		total++
		if !old[x.Text] {
			fresh++
		}
	}
	t.Logf("%d of %d new", fresh, total)
	if fresh == 0 || fresh > total/3 {
		t.Errorf("an edit of the first paragraph makes %d of %d chunks new", fresh, total)
	}
}

func BenchmarkChunks(b *testing.B) {
	source, err := os.ReadFile("testdata/chunks/manual.txt")
	if err != nil {
		b.Fatal(err)
	}
	c := outline(strings.Repeat(string(source)+"\nThe second part is in English. Mr. Smith signed it on 5 May.\n\n", 20))
	b.SetBytes(int64(len(c.Text)))
	for b.Loop() {
		chunks("d", c, smallChunks, roughly)
	}
}
