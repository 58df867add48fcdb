package parse

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBuilderCleans(t *testing.T) {
	tests := []struct {
		name string
		kind Kind
		in   string
		want string
	}{
		{"spaces", Paragraph, "  uno\u00a0 dos\t\ttres \r\n\r\n cuatro\rcinco", "uno dos tres\ncuatro\ncinco"},
		{"composed", Paragraph, "calefaccio\u0301n", "calefacción"},
		{"hidden", Paragraph, "pa\u200bla\u202ebra\U000E0041\ufeff y guio\u00adnes\x00\x1b", "palabra y guiones"},
		{"invalid", Paragraph, "a\xffb", "a\ufffdb"},
		{"code", Preformatted, "\n  if x {\n\n\t\ty\u00a0= 1  \n  }\n\n", "  if x {\n\n\t\ty = 1\n  }"},
		{"empty", Paragraph, " \n\u200b\t", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBuilder(1 << 20)
			if err := b.add(Block{Kind: tt.kind}, tt.in); err != nil {
				t.Fatal(err)
			}
			c := b.content("", "text/plain")
			checkContent(t, c)
			if c.Text != tt.want {
				t.Errorf("got %q, want %q", c.Text, tt.want)
			}
		})
	}
}

func TestBuilderKeepsPlaces(t *testing.T) {
	b := newBuilder(1 << 20)
	lines := []textLine{{"una  línea", [4]float64{0, 0, 1, .1}}, {" ", [4]float64{}}, {"otra\u200b", [4]float64{0, .1, 1, .2}}}
	for _, err := range []error{
		b.add(Block{Kind: Heading, Under: []string{"Uno"}, Page: 1}, "Uno"),
		b.addLines(Block{Kind: Paragraph, Under: []string{"Uno"}, Page: 1}, lines),
		b.add(Block{Kind: Item}, "    - punto"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got := b.content(" El\ntítulo ", "application/pdf")
	checkContent(t, got)
	want := Content{
		Title: "El título", MIME: "application/pdf", Text: "Uno\n\nuna línea\notra\n\n    - punto",
		Blocks: []Block{
			{Start: 0, End: 3, Kind: Heading, Under: []string{"Uno"}, Page: 1},
			{Start: 5, End: 20, Kind: Paragraph, Under: []string{"Uno"}, Page: 1, Lines: []Line{
				{Start: 5, End: 15, Box: [4]float64{0, 0, 1, .1}}, {Start: 16, End: 20, Box: [4]float64{0, .1, 1, .2}},
			}},
			{Start: 26, End: 33, Kind: Item},
		},
		Warnings: []string{"1 hidden character removed"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
}

func TestBuilderRefusesTooMuch(t *testing.T) {
	b := newBuilder(4)
	var problem *Error
	if err := b.add(Block{Kind: Paragraph}, "cinco"); !errors.As(err, &problem) || problem.Code != TooLarge {
		t.Errorf("got %v, want %s", err, TooLarge)
	}
}

func TestOutline(t *testing.T) {
	var o outline
	o.enter(1, "A")
	b := o.enter(3, "B")
	if diff := cmp.Diff([]string{"A", "C"}, o.enter(2, "C")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"A", "B"}, b); diff != "" {
		t.Errorf("an earlier path changed: %s", diff)
	}
}

// TestDeepOutline bounds the path of headings, which each block and chunk repeats: a PDF document has as many levels as
// sizes of letters.
func TestDeepOutline(t *testing.T) {
	var o outline
	for level := range 5000 {
		if path := o.enter(level, "un título"); len(path) > maxPath || len(o.levels) != len(path) {
			t.Fatalf("a path of %d headings, of %d levels", len(path), len(o.levels))
		}
	}
	if path := o.enter(0, "otro"); len(path) != 1 {
		t.Errorf("after it comes %q", path)
	}
}
