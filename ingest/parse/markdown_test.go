package parse

import (
	"strings"
	"testing"
)

func TestMarkdownTitle(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"first top heading", "## Dos\n\n# Uno *más*\n\n# Otro", "Uno más"},
		{"none", "## Dos\n\ntexto", ""},
		{"front matter", "---\r\ntitle: 'Un título'\r\nfecha: hoy\r\n---\r\n# Otro", "Un título"},
		{"a rule is no front matter", "---\nhola\n---\n# Uno", "Uno"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := parseFile(t, "a.md", tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if c.Title != tt.want {
				t.Errorf("got %q, want %q", c.Title, tt.want)
			}
		})
	}
}

func TestTangledMarkdownIsReadAsText(t *testing.T) {
	tests := map[string]bool{
		"> > > cita":                                        false,
		"- - - - -":                                         false,
		strings.Repeat("-", 500):                            false,
		strings.Repeat("* ", 500):                           false,
		strings.Repeat("| celda ", 50) + "|\n":              false,
		strings.Repeat(">", 500) + "x":                      true,
		strings.Repeat("1. ", 500) + "x":                    true,
		strings.Repeat("[", 30_000):                         true,
		strings.Repeat("[enlace](x)\n\n", 30_000):           false,
		strings.Repeat("- [enlace](x) y *más*\n", 5000):     false,
		strings.Repeat("Véase[^1].\n\n[^1]: ahí\n\n", 2000): false,
	}
	for in, want := range tests {
		if got := isTangled(in); got != want {
			t.Errorf("isTangled(%.30q) = %v", in, got)
		}
	}
	c, err := parseFile(t, "a.md", strings.Repeat(">", 500)+"fondo del pozo")
	if err != nil || len(c.Warnings) != 1 || len(c.Blocks) != 1 {
		t.Errorf("got %v, %d blocks, warnings %q", err, len(c.Blocks), c.Warnings)
	}
}

func FuzzMarkdown(f *testing.F) {
	for _, s := range []string{"# a\n\n- b\n  1. c\n", "|a|\n|-|\n|b|\n", "---\ntitle: x\n---\n<div>x</div>\n[^1]\n\n[^1]: y\n", "<script>x\n\n`a`&amp;\\*<br>"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) { fuzzed(t, parseMarkdown, data) })
}
