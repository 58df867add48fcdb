package parse

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

func TestCharacterSets(t *testing.T) {
	const text = "Aviso de la compañía: la cuota será de 17,90 € al mes. “Señal” y «mañana» se escriben con eñe."
	tests := []struct {
		name string
		enc  encoding.Encoding
		text string
	}{
		{"windows-1252", charmap.Windows1252, text},
		{"iso-8859-1", charmap.ISO8859_1, "El próximo año la lectura la hará Íñigo Ibáñez"},
		{"short", charmap.Windows1252, "Año"},
		{"english", charmap.Windows1252, "The café’s menu – “naïve” cooking – costs £12"},
		{"utf-8", encoding.Nop, text},
		{"utf-8 with mark", unicode.UTF8BOM, text},
		{"utf-16 with mark", unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM), text},
		{"utf-16 big with mark", unicode.UTF16(unicode.BigEndian, unicode.ExpectBOM), text},
		{"utf-16", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), text},
		{"utf-16 big", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), text},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data, err := tt.enc.NewEncoder().String(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"a.txt", "a.md"} {
				c, err := parseFile(t, name, data)
				if err != nil {
					t.Fatal(err)
				}
				if c.Text != tt.text {
					t.Errorf("%s: got %q", name, c.Text)
				}
			}
		})
	}
}

func TestTextBlocks(t *testing.T) {
	c, err := parseFile(t, "a.txt", "\r\nUno,\r\ny dos.\r\n \t\r\n\r\nNombre\t\tPrecio\r\nQueso\t\t23,60\r\nfin\f  Otra  página\u200b")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := outlineOf(c), "paragraph: Uno,⏎y dos.\ncode: Nombre\t\tPrecio⏎Queso\t\t23,60⏎fin\nparagraph: Otra página\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if len(c.Warnings) != 1 || !strings.HasPrefix(c.Warnings[0], "1 hidden") {
		t.Errorf("warnings %q", c.Warnings)
	}
}

// outlineOf writes the blocks of c one a line, each under its path.
func outlineOf(c Content) string {
	var b strings.Builder
	for _, block := range c.Blocks {
		indent := c.Text[strings.LastIndexByte(c.Text[:block.Start], '\n')+1 : block.Start]
		if len(block.Under) > 0 {
			b.WriteString("<" + strings.Join(block.Under, " / ") + "> ")
		}
		b.WriteString(string(block.Kind) + ": " + indent + strings.ReplaceAll(c.Text[block.Start:block.End], "\n", "⏎") + "\n")
	}
	return b.String()
}

func TestHostileTextIsLinear(t *testing.T) {
	const n = 5 << 20
	tests := map[string]struct{ file, data string }{
		"one line":      {"a.txt", strings.Repeat("Una frase larga. ", n/17)},
		"no spaces":     {"a.txt", strings.Repeat("x", n)},
		"blank lines":   {"a.txt", strings.Repeat("\n", n) + "x"},
		"accents":       {"a.txt", "a" + strings.Repeat("\u0301", n/2)},
		"quotes":        {"a.md", strings.Repeat(">", n)},
		"indented list": {"a.md", strings.Repeat(strings.Repeat(" ", 2000)+"- a\n", n/2000)},
		"open links":    {"a.md", strings.Repeat("[a](", n/4)},
		"strikes":       {"a.md", strings.Repeat("~~a ~b", n/6)},
		"wide table":    {"a.md", strings.Repeat("a|", 10_000) + "\n" + strings.Repeat("-|", 10_000) + "\n" + strings.Repeat("x\n", 10_000)},
		"links apart":   {"a.md", strings.Repeat(strings.Repeat("[a](", 19_000)+"\n\n", n/76_000)},
		"footnotes":     {"a.md", strings.Repeat("x[^1]\n\n", n/64) + manyNotes(n/64)},
		"open bold":     {"a.html", strings.Repeat("<b>x", n/8)},
		"tables":        {"a.html", strings.Repeat("<table><tr><td>x", n/64)},
		"wrong ends":    {"a.html", strings.Repeat("<b>", 50_000) + strings.Repeat("</div>x", n/7)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			_, err := parseFile(t, tt.file, tt.data)
			if code := codeOf(t, err); code != "" && code != Bomb {
				t.Error(err)
			}
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func manyNotes(n int) string {
	var notes strings.Builder
	for i := range n {
		fmt.Fprintf(&notes, "[^%d]: nota\n\n", i)
	}
	return notes.String()
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"Hola\n\nadiós", "\xff\xfeh\x00o\x00", "a\xf1o", "a\u0301\u200b\r\rb\tc\n d\te"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) { fuzzed(t, parseText, data) })
}

// fuzzed runs a parser as it is, so that panics show.
func fuzzed(t *testing.T, parse Parser, data []byte) {
	c, err := parse(t.Context(), File{Name: "a", Data: data}, nil)
	if err == nil {
		checkContent(t, c)
	} else {
		codeOf(t, err)
	}
}
